//! A desktop in a universe: a screen, a session bus, a window manager, and a person who sees and presses.
//!
//! The person sees the accessibility tree, as a screen reader does, and the screen itself; tests compare it with what
//! `mifctl --json` says.

mod input;
mod panel;
mod screen;
mod session;
mod tree;

pub use panel::{MenuEntry, Notification, Panel};
pub use screen::{Area, Film, Frame};
pub use session::Session;
pub use tree::{below, focused, rows};

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::daemons::program;
use crate::process::Process;
use crate::tool;
use crate::universe::Universe;
use crate::wait::{completes, eventually};

/// The session bus of the desktop.
pub const SESSION_BUS: &str = "unix:path=/run/user/0/bus";

/// What the applet is called in the accessibility tree.
pub const APPLET: &str = "mif-applet";

const DISPLAY: &str = ":99";
const SCREEN: &str = "/run/testbed/screen";
const HOME: &str = "/run/testbed/home";

/// Variables of every program of the desktop.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("DISPLAY", DISPLAY),
    ("DBUS_SESSION_BUS_ADDRESS", SESSION_BUS),
    ("XDG_RUNTIME_DIR", "/run/user/0"),
    ("HOME", HOME),
    ("GSETTINGS_BACKEND", "memory"),
    ("GTK_A11Y", "atspi"),
    ("GDK_BACKEND", "x11"),
    ("GSK_RENDERER", "cairo"),
    ("ADW_DISABLE_PORTAL", "1"),
    ("LC_ALL", "C.UTF-8"),
];

/// The desktop.
#[derive(Debug)]
pub struct Desktop {
    universe: Universe,
    person: Mutex<Person>,
}

#[derive(Debug)]
struct Person {
    _child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Something on the screen.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Seen {
    /// How deep in the tree.
    pub depth: usize,
    /// "push button", "label" ...
    pub role: String,
    /// What a screen reader calls it.
    pub name: String,
    /// What it says besides.
    pub description: String,
    /// Its text, where it has one.
    pub text: Option<String>,
    /// focused, focusable, selected, checked, sensitive.
    pub states: Vec<String>,
    /// Within its window: x, y, width, height.
    pub extents: [i32; 4],
}

impl Seen {
    /// Name or text without the characters that keep technical words together.
    pub fn words(&self) -> String {
        let words = self.text.as_deref().filter(|text| !text.is_empty()).unwrap_or(&self.name);
        words.chars().filter(|letter| !matches!(letter, '\u{2066}'..='\u{2069}' | '\u{200b}')).collect()
    }

    /// Whether it is in this state.
    pub fn is(&self, state: &str) -> bool {
        self.states.iter().any(|known| known == state)
    }
}

impl Desktop {
    /// Starts all of it.
    ///
    /// # Panics
    /// When something of it does not start.
    pub async fn start(universe: &Universe) -> Self {
        for folder in [SCREEN, HOME, "/run/user/0", "/tmp/.X11-unix"] {
            fs::create_dir_all(folder).expect("a folder of the desktop");
        }
        fs::create_dir_all(format!("{HOME}/.config/gtk-4.0")).expect("a folder of the desktop");
        // A screenshot in the middle of a movement shows nothing.
        let settings = "[Settings]\ngtk-enable-animations=0\n";
        fs::write(format!("{HOME}/.config/gtk-4.0/settings.ini"), settings).expect("settings");
        fs::set_permissions("/run/user/0", fs::Permissions::from_mode(0o700)).expect("a private folder");
        let host = universe.host();
        let mut bus = tool::command("dbus-daemon");
        bus.args(["--session", "--nofork", "--print-address", "--address", SESSION_BUS]);
        let bus = host.spawn("session-bus", with_environment(bus));
        let mut screen = tool::command("Xvfb");
        screen.args([
            DISPLAY,
            "-screen",
            "0",
            "1400x1000x24",
            "-nolisten",
            "tcp",
            "-noreset",
            "-fbdir",
            SCREEN,
        ]);
        let screen = host.spawn("xvfb", screen);
        bus.wait_for_log("unix:").await;
        eventually("the screen", async || {
            assert!(screen.exit_status().is_none(), "Xvfb ended:\n{}", screen.log());
            let socket = Path::new("/tmp/.X11-unix/X99");
            if socket.exists() { Ok(()) } else { Err(screen.log()) }
        })
        .await;
        host.spawn("openbox", with_environment(tool::command("openbox")));
        let mut accessibility = tool::command("at-spi-bus-launcher");
        accessibility.arg("--launch-immediately");
        host.spawn("at-spi", with_environment(accessibility));
        wait_for_window_manager().await;
        wait_for_accessibility().await;
        let person = Mutex::new(Person::start());
        Self { universe: universe.clone(), person }
    }

    /// A program of the desktop.
    pub fn spawn(&self, name: &str, command: Command) -> Process {
        let mut all = with_environment(Command::new(command.get_program()));
        all.args(command.get_args());
        all.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.universe.host().spawn(name, all)
    }

    /// The applet, with its window on the screen. GTK 4.8 tells nothing more about windows that were looked at before
    /// they were there.
    ///
    /// # Panics
    /// When it has none in time.
    pub async fn applet(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut command = Command::new(program("mif-applet"));
        command.args(arguments).envs(environment.iter().copied());
        let applet = self.spawn("applet", command);
        eventually("the window of the applet", async || {
            assert!(applet.exit_status().is_none(), "the applet ended:\n{}", applet.log());
            self.find_window().ok_or_else(|| applet.log())
        })
        .await;
        applet
    }

    /// Everything that the applet shows now, in the order of the tree.
    ///
    /// # Panics
    /// When the person is gone.
    pub fn look(&self) -> Vec<Seen> {
        let answer = self.ask(json!({"do": "tree"}));
        // What goes while it is looked at is not shown.
        serde_json::from_value(answer.clone()).unwrap_or_default()
    }

    /// Waits until something in what is shown is as wanted.
    ///
    /// # Panics
    /// At the deadline, with what is shown.
    pub async fn until<T>(&self, what: &str, mut choose: impl FnMut(&[Seen]) -> Option<T>) -> T {
        eventually(what, async || {
            let seen = self.look();
            choose(&seen).ok_or_else(|| said(&seen))
        })
        .await
    }

    /// Waits until all of these words are shown somewhere.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn reads(&self, words: &[&str]) {
        self.until(&format!("{words:?} on the screen"), |seen| {
            let has =
                |word: &&str| seen.iter().any(|it| it.words().contains(*word) || it.name.contains(*word));
            words.iter().all(has).then_some(())
        })
        .await;
    }

    /// Presses what has this role and a name that begins so.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn press(&self, role: &str, name: &str) {
        self.act("press", role, name, "").await;
    }

    /// Moves the keyboard focus there.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn focus(&self, role: &str, name: &str) {
        self.act("focus", role, name, "").await;
    }

    /// Writes into an entry.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn write(&self, role: &str, name: &str, text: &str) {
        self.act("write", role, name, text).await;
    }

    async fn act(&self, act: &str, role: &str, name: &str, text: &str) {
        eventually(&format!("to {act} the {role} {name:?}"), async || {
            let request = json!({"do": act, "role": role, "name": name, "prefix": true, "text": text});
            match self.ask(request) {
                Value::Bool(true) => Ok(()),
                other => Err(format!("{other}: {}", said(&self.look()))),
            }
        })
        .await;
    }

    /// Where something is within the window.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn place(&self, role: &str, name: &str) -> [i32; 4] {
        self.until(&format!("the {role} {name:?}"), |seen| {
            seen.iter().find(|it| it.role == role && it.name.starts_with(name)).map(|it| it.extents)
        })
        .await
    }

    /// Keeps what is on the screen in `applet-screenshots` of the build folder.
    ///
    /// # Panics
    /// When that cannot be written.
    pub fn screenshot(&self, name: &str) -> PathBuf {
        self.picture(name, Some(self.window_area()))
    }

    /// [`Self::screenshot`] of all windows, for those that the window manager puts around and above others.
    pub fn screenshot_of_everything(&self, name: &str) -> PathBuf {
        self.picture(name, None)
    }

    fn picture(&self, name: &str, area: Option<Area>) -> PathBuf {
        let folder = screenshots();
        fs::create_dir_all(&folder).expect("the folder of the screenshots");
        let path = folder.join(format!("{name}.png"));
        let answer = self.ask(json!({"do": "screenshot", "path": path, "area": area}));
        assert_eq!(answer, Value::Bool(true));
        path
    }

    fn ask(&self, mut request: Value) -> Value {
        request["application"] = APPLET.into();
        self.person.lock().expect("the person").ask(&request)
    }
}

/// Until then windows do not appear.
async fn wait_for_window_manager() {
    eventually("the window manager", async || {
        let mut ask = tool::command("xdotool");
        ask.arg("get_num_desktops");
        let answer = with_environment(ask).output().expect("xdotool");
        if answer.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&answer.stderr).into_owned())
        }
    })
    .await;
}

/// Until then programs that start would start a second one.
async fn wait_for_accessibility() {
    let builder = zbus::connection::Builder::address(SESSION_BUS);
    let connection = completes("the session bus", builder.build()).await.expect("connect to the session bus");
    let bus = zbus::fdo::DBusProxy::new(&connection).await.expect("a proxy of the bus");
    eventually("the accessibility bus", async || {
        let name = zbus::names::BusName::try_from("org.a11y.Bus").expect("a name");
        if bus.name_has_owner(name).await.expect("the bus answers") {
            Ok(())
        } else {
            Err("nobody has its name")
        }
    })
    .await;
}

impl Person {
    fn start() -> Self {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/desktop/person.py"));
        let mut command = with_environment(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().expect("start /usr/bin/python3 (Debian: python3-gi gir1.2-atspi-2.0)");
        let requests = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { _child: child, requests, answers }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").expect("ask the person");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the answer of the person");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?} to {request}"))
    }
}

/// Where screenshots are kept.
fn screenshots() -> PathBuf {
    let profile = crate::filesystem::profile_folder().expect("the build folder");
    profile.parent().unwrap_or(&profile).join("applet-screenshots")
}

fn with_environment(mut command: Command) -> Command {
    command.envs(ENVIRONMENT.iter().copied());
    command
}

/// What is shown, for a failure.
fn said(seen: &[Seen]) -> String {
    let line = |it: &Seen| {
        format!(
            "{:indent$}{} {:?} {:?} {:?}\n",
            "",
            it.role,
            it.name,
            it.words(),
            it.states,
            indent = it.depth
        )
    };
    seen.iter().map(line).collect()
}
