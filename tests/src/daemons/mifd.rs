//! The service under test.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use crate::filesystem::PROGRAMS;
use crate::node::Node;
use crate::process::Process;
use crate::tool;
use crate::universe::{Privilege, Universe};
use crate::user;
use crate::wait::eventually;

use super::{Bus, write_file};

/// The bus name of the service.
pub const NAME: &str = "org.ietf.Mif1";

/// How mifd is to be started.
#[derive(Clone, Debug)]
pub struct MifdSettings {
    node: Node,
    bus: Bus,
    config: Option<String>,
    log: String,
    session: bool,
    arguments: Vec<String>,
    environment: Vec<(String, OsString)>,
    missing_capabilities: Vec<String>,
    under: Vec<String>,
}

impl MifdSettings {
    /// mifd on the universe's host and bus, logging at `debug`. In a root universe it runs as the
    /// service user with exactly the four capabilities of the service.
    pub fn new(universe: &Universe, bus: &Bus) -> Self {
        Self {
            node: universe.host().clone(),
            bus: bus.clone(),
            config: None,
            log: "debug".to_owned(),
            session: false,
            arguments: Vec::new(),
            environment: Vec::new(),
            missing_capabilities: Vec::new(),
            under: Vec::new(),
        }
    }

    /// On another node than the host.
    #[must_use]
    pub fn on(mut self, node: &Node) -> Self {
        self.node = node.clone();
        self
    }

    /// The text of its configuration file; without it there is none.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// Another log level.
    #[must_use]
    pub fn log(mut self, level: &str) -> Self {
        self.log = level.to_owned();
        self
    }

    /// As for development, with `--session`, though on the same bus.
    #[must_use]
    pub fn session(mut self) -> Self {
        self.session = true;
        self
    }

    /// Another argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Without one of its capabilities, in the words of setpriv(1), such as `net_admin`. In a root universe only: root of a
    /// user namespace has them all.
    #[must_use]
    pub fn without_capability(mut self, name: &str) -> Self {
        self.missing_capabilities.push(name.to_owned());
        self
    }

    /// Started by another program, which becomes it: the words that stand before its own, such as
    /// `prlimit --nofile=64 --`.
    #[must_use]
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it and waits until it owns its name, that is after its first inventory.
    ///
    /// # Panics
    /// When it is not built or ends instead, with what it said.
    pub async fn start(self) -> Mifd {
        let process = self.spawn();
        let mifd = Mifd { settings: self, process };
        mifd.wait_until_named().await;
        mifd
    }

    /// Starts it without waiting for anything, for what is to fail.
    pub fn spawn(&self) -> Process {
        let mut command = match self.bus.privilege() {
            Privilege::UserNamespace => self.program(),
            Privilege::Root => {
                user::make_runtime_directory();
                user::as_service_without(&self.missing_capabilities, self.program())
            }
        };
        if self.session {
            command.arg("--session").env("DBUS_SESSION_BUS_ADDRESS", self.bus.address());
        } else {
            command.args(["--bus", self.bus.address()]);
        }
        command.args(["--log", &self.log]).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(text) = &self.config {
            command.arg("--config").arg(write_file("mifd.toml", text));
        }
        self.node.spawn("mifd", command)
    }

    fn program(&self) -> Command {
        let Some((first, others)) = self.under.split_first() else { return Command::new(program("mifd")) };
        let mut command = tool::command(first);
        command.args(others).arg(program("mifd"));
        command
    }
}

/// A running mifd.
#[derive(Clone, Debug)]
pub struct Mifd {
    settings: MifdSettings,
    process: Process,
}

impl Mifd {
    /// [`MifdSettings::new`] and [`MifdSettings::start`].
    pub async fn start(universe: &Universe, bus: &Bus) -> Self {
        MifdSettings::new(universe, bus).start().await
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub async fn terminate(&self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Ends it at once (SIGKILL).
    pub async fn kill(&self) {
        self.process.kill().await;
    }

    /// Starts it again, after its end, with the same settings.
    pub async fn restart(&mut self) {
        self.process = self.settings.spawn();
        self.wait_until_named().await;
    }

    /// The same with another text of its configuration file.
    pub async fn restart_with(&mut self, config: &str) {
        self.settings.config = Some(config.to_owned());
        self.restart().await;
    }

    /// Waits until this very process owns the name.
    async fn wait_until_named(&self) {
        let connection = self.settings.bus.connect().await;
        let bus = DBusProxy::new(&connection).await.expect("a proxy of the bus");
        let name: BusName<'_> = NAME.try_into().expect("a bus name");
        eventually(&format!("mifd to own {NAME}"), async || {
            if let Some(status) = self.process.exit_status() {
                panic!("mifd ended with {status} before it owned {NAME}:\n{}", self.process.log());
            }
            match bus.get_connection_unix_process_id(name.clone()).await {
                Ok(pid) if pid == self.process.pid() => Ok(()),
                Ok(pid) => Err(format!("it belongs to process {pid}")),
                Err(error) => Err(format!("{error}; mifd said:\n{}", self.process.log())),
            }
        })
        .await;
    }
}

/// A program of this workspace, built beside the test.
///
/// # Panics
/// When it is not built.
pub fn program(name: &str) -> PathBuf {
    let path = PathBuf::from(PROGRAMS).join(name);
    assert!(path.exists(), "{name} is not built: run `cargo build -p mifd -p mifctl`, or `cargo xtask test`");
    path
}
