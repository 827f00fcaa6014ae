//! polkitd with the project's own action, and an authentication agent that a test answers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use futures_util::StreamExt;
use nix::mount::{MsFlags, mount};
use tokio::sync::mpsc;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, OwnedVariant, Variant};

use crate::filesystem::TESTBED;
use crate::process::Process;
use crate::universe::{Privilege, Universe};
use crate::wait::completes;

use super::Bus;

/// Where it is, installed or laid there by [`crate::peers::mount`].
const PROGRAM: &str = "/usr/lib/polkit-1/polkitd";
/// Where it looks for actions; there is no other place.
const ACTIONS: &str = "/usr/share/polkit-1/actions";
/// Where an administrator's rules are.
const RULES: &str = "/etc/polkit-1/rules.d";
/// The file of ours there, before those of the distribution.
const OUR_RULES: &str = "10-test.rules";

const NAME: &str = "org.freedesktop.PolicyKit1";
const AUTHORITY: &str = "/org/freedesktop/PolicyKit1/Authority";
const INTERFACE: &str = "org.freedesktop.PolicyKit1.Authority";
const AGENT: &str = "/test/agent";

/// A running polkitd.
#[derive(Clone, Debug)]
pub struct Polkitd {
    universe: Universe,
    process: Process,
}

impl Polkitd {
    /// Starts it with the policy file of this workspace. [`crate::peers::mount`] is to have been called before.
    pub async fn start(universe: &Universe, bus: &Bus) -> Self {
        let text = fs::read_to_string(ours("org.ietf.Mif1.policy")).expect("our policy");
        Self::start_with(universe, bus, &text).await
    }

    /// The same with another text as the policy file.
    ///
    /// # Panics
    /// When it is not there, does not start, or this is not a universe with several users.
    pub async fn start_with(universe: &Universe, bus: &Bus, policy: &str) -> Self {
        assert_eq!(universe.privilege(), Privilege::Root, "polkitd becomes a user of its own");
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: the test is to call peers::mount() first"
        );
        let actions = Path::new(TESTBED).join("polkit-actions");
        fs::create_dir_all(&actions).expect("a folder");
        fs::write(actions.join("org.ietf.Mif1.policy"), policy).expect("the policy");
        let layers = format!("lowerdir={}:{ACTIONS}", actions.display());
        mount(Some("overlay"), ACTIONS, Some("overlay"), MsFlags::MS_RDONLY, Some(layers.as_str()))
            .expect("lay the policy beside those of the system");
        fs::create_dir_all(RULES).expect("the folder of rules");
        // Of a new file polkitd is told twice, and the second reloading may fall among questions, which it then leaves
        // without an answer. Of new text in a file that is there it is told once.
        fs::write(Path::new(RULES).join(OUR_RULES), "").expect("no rules yet");
        let process = spawn(universe);
        let polkitd = Self { universe: universe.clone(), process };
        polkitd.wait_until_named(bus).await;
        polkitd
    }

    /// Puts rules in force instead of those that there were, and waits until it has read them.
    pub async fn rules(&self, text: &str) {
        let before = self.loadings();
        fs::write(Path::new(RULES).join(OUR_RULES), text).expect("write rules");
        crate::wait::eventually("polkitd to read its rules", async || {
            if self.loadings() > before { Ok(()) } else { Err(self.process.log()) }
        })
        .await;
    }

    /// The example rules of this workspace.
    pub async fn example_rules(&self) {
        self.rules(&fs::read_to_string(ours("org.ietf.Mif1.rules")).expect("our rules")).await;
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again, after its end.
    pub async fn restart(&mut self, bus: &Bus) {
        self.process = spawn(&self.universe);
        self.wait_until_named(bus).await;
    }

    fn loadings(&self) -> usize {
        self.process.log().matches("Finished loading, compiling and executing").count()
    }

    async fn wait_until_named(&self, bus: &Bus) {
        self.process.wait_for_log("Acquired the name").await;
        let connection = bus.connect().await;
        let version = connection.call_method(
            Some(NAME),
            AUTHORITY,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &(INTERFACE, "BackendVersion"),
        );
        completes("an answer of polkitd", version).await.expect("polkitd answers");
    }
}

fn spawn(universe: &Universe) -> Process {
    universe.host().spawn("polkitd", Command::new(PROGRAM))
}

fn ours(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../polkit").join(name)
}

/// An authentication agent for the clients of this process, whoever they are.
#[derive(Debug)]
pub struct Agent {
    prompts: mpsc::UnboundedReceiver<Prompt>,
    cancelled: mpsc::UnboundedReceiver<String>,
}

/// A person who is asked.
#[derive(Debug)]
pub struct Prompt {
    agent: Connection,
    call: Message,
    /// Which question it is.
    pub cookie: String,
    /// What the person is told.
    pub message: String,
}

impl Agent {
    /// Registers one, as root.
    ///
    /// # Panics
    /// When polkitd does not take it.
    pub async fn register(bus: &Bus, uid: u32) -> Self {
        let connection = bus.connect().await;
        let (sender, prompts) = mpsc::unbounded_channel();
        let (cancel, cancelled) = mpsc::unbounded_channel();
        let mut stream = MessageStream::from(&connection);
        let agent = connection.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if message.message_type() != Type::MethodCall {
                    continue;
                }
                match message.header().member().map(|member| member.as_str().to_owned()).as_deref() {
                    Some("BeginAuthentication") => {
                        let _ = sender.send(Prompt::of(&agent, &message));
                    }
                    Some("CancelAuthentication") => {
                        let _ = cancel.send(message.body().deserialize().expect("a cookie"));
                        agent.reply(&message.header(), &()).await.expect("reply to polkitd");
                    }
                    other => panic!("the agent was called {other:?}"),
                }
            }
        });
        ask(&connection, "RegisterAuthenticationAgent", &(subject(uid), "C", AGENT)).await;
        Self { prompts, cancelled }
    }

    /// The next prompt.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn prompt(&mut self) -> Prompt {
        completes("a prompt", self.prompts.recv()).await.expect("the agent runs")
    }

    /// A prompt that came already.
    pub fn prompt_at_hand(&mut self) -> Option<Prompt> {
        self.prompts.try_recv().ok()
    }

    /// The cookie of the next prompt that is taken back.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn taken_back(&mut self) -> String {
        completes("a prompt to be taken back", self.cancelled.recv()).await.expect("the agent runs")
    }
}

impl Prompt {
    fn of(agent: &Connection, call: &Message) -> Self {
        type Identities = Vec<(String, HashMap<String, OwnedVariant>)>;
        let body = call.body();
        type Arguments = (String, String, String, HashMap<String, String>, String, Identities);
        let (_, message, _, _, cookie, _): Arguments =
            body.deserialize().expect("the arguments of BeginAuthentication");
        Self { agent: agent.clone(), call: call.clone(), cookie, message }
    }

    /// An administrator agrees.
    pub async fn agree(self) {
        let root = ("unix-user", HashMap::from([("uid", Variant::from(0_u32))]));
        ask(&self.agent, "AuthenticationAgentResponse2", &(0_u32, &self.cookie, root)).await;
        self.agent.reply(&self.call.header(), &()).await.expect("end the prompt");
    }

    /// The person closes the window.
    pub async fn dismiss(self) {
        let cancelled = "org.freedesktop.PolicyKit1.Error.Cancelled";
        let error = Message::error(&self.call.header(), cancelled).build(&("closed",)).expect("an error");
        self.agent.send(&error).await.expect("end the prompt");
    }
}

/// Asks polkitd for something that it must do.
async fn ask<B: serde::Serialize + zbus::DynamicType>(connection: &Connection, method: &str, body: &B) {
    let call = connection.call_method(Some(NAME), AUTHORITY, Some(INTERFACE), method, body);
    completes(method, call).await.unwrap_or_else(|error| panic!("polkitd refuses {method}: {error}"));
}

/// This process, as polkit names it.
fn subject(uid: u32) -> (&'static str, HashMap<&'static str, Variant<'static>>) {
    let stat = fs::read_to_string("/proc/self/stat").expect("my own stat");
    let after_name = stat.rsplit(')').next().expect("fields behind the name");
    let start: u64 =
        after_name.split_whitespace().nth(19).and_then(|it| it.parse().ok()).expect("a start time");
    let uid = i32::try_from(uid).expect("a small uid");
    let details = HashMap::from([
        ("pid", Variant::from(std::process::id())),
        ("start-time", Variant::from(start)),
        ("uid", Variant::from(uid)),
    ]);
    ("unix-process", details)
}
