//! A private bus with the rules of the system bus: dbus-daemon, or dbus-broker.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;

use zbus::Connection;

use crate::process::Process;
use crate::tool;
use crate::universe::{Privilege, SYSTEM_BUS, Universe};

use super::write_file;

/// Our policy as it is installed. In a user namespace the service user is an alias of root.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/dbus/org.ietf.Mif1.conf");

/// Who may send what: the rules of dbus-daemon's own `system.conf`, those of our service, and those of the
/// services that stand beside it.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>@ADDRESS@</listen>
  <auth>EXTERNAL</auth>
  @LIMITS@
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.network1"/>
    <allow send_destination="org.freedesktop.resolve1"/>
    <allow send_destination="org.ietf.MifReference"/>
  </policy>
  <policy user="root">
    <allow own="org.freedesktop.network1"/>
    <allow own="org.freedesktop.resolve1"/>
    <allow own="org.ietf.MifReference"/>
  </policy>
  <include>@POLICY@</include>
  <include ignore_missing="yes">/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include>
  <include ignore_missing="yes">/usr/share/dbus-1/system.d/org.freedesktop.NetworkManager.conf</include>
  <include ignore_missing="yes">/usr/share/dbus-1/system.d/org.freedesktop.resolve1.conf</include>
</busconfig>
"#;

/// What dbus-broker gives each user; without these lines it gives nothing.
const BROKER_LIMITS: &str = r#"<limit name="max_incoming_bytes">133169152</limit>
  <limit name="max_incoming_unix_fds">64</limit>
  <limit name="max_outgoing_bytes">@BYTES@</limit>
  <limit name="max_outgoing_unix_fds">64</limit>
  <limit name="max_message_unix_fds">16</limit>
  <limit name="max_completed_connections">2048</limit>
  <limit name="max_incomplete_connections">64</limit>
  <limit name="max_connections_per_user">@CONNECTIONS@</limit>
  <limit name="max_pending_service_starts">512</limit>
  <limit name="max_names_per_connection">512</limit>
  <limit name="max_match_rules_per_connection">512</limit>
  <limit name="max_replies_per_connection">128</limit>"#;

/// How many bytes it keeps for what a user's clients have not read, and how many clients each may have.
const BROKER_BYTES: usize = 512 << 20;
const BROKER_CONNECTIONS: usize = 2_048;

/// The bus that dbus-broker's launcher wants besides: it would ask it to start services.
const CONTROLLER: &str = "unix:path=/run/testbed/controller";

/// Where dbus-broker logs. Beside a bus that came before it is there already, and so is the controller.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// The name of the service that benchmarks compare with.
pub const REFERENCE_NAME: &str = "org.ietf.MifReference";

/// Which program is the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusProgram {
    /// The reference implementation, on most machines.
    DbusDaemon,
    /// The one for Linux, on Fedora and others.
    DbusBroker,
}

impl BusProgram {
    /// Both.
    pub const ALL: [Self; 2] = [Self::DbusDaemon, Self::DbusBroker];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DbusDaemon => "dbus-daemon",
            Self::DbusBroker => "dbus-broker",
        }
    }

    /// Whether it can be started here.
    pub fn is_there(self) -> bool {
        match self {
            Self::DbusDaemon => tool::is_there("dbus-daemon"),
            Self::DbusBroker => tool::is_there("dbus-broker-launch"),
        }
    }

    /// The part of its name that the other one does not have.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DbusDaemon => "daemon",
            Self::DbusBroker => "broker",
        }
    }
}

/// The system bus of a universe.
#[derive(Clone, Debug)]
pub struct Bus {
    process: Process,
    privilege: Privilege,
}

impl Bus {
    /// Starts it at the address at which every program of the universe looks for the system bus.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub async fn start(universe: &Universe) -> Self {
        Self::start_with_limits(universe, "").await
    }

    /// The same with `<limit>` elements of its own.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub async fn start_with_limits(universe: &Universe, limits: &str) -> Self {
        let config = prepare(limits);
        let mut command = tool::command("dbus-daemon");
        command.arg("--config-file").arg(config).args(["--nofork", "--nopidfile", "--nosyslog"]);
        command.arg("--print-address");
        let process = universe.host().spawn("dbus-daemon", command);
        process.wait_for_log("unix:").await;
        Self { process, privilege: universe.privilege() }
    }

    /// dbus-broker in place of dbus-daemon. [`crate::peers::mount`] is to have been
    /// called before.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub async fn start_broker(universe: &Universe) -> Self {
        Self::start_broker_with(universe, BROKER_BYTES).await
    }

    /// The same, keeping at most so many bytes for all clients of a user to read.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub async fn start_broker_with(universe: &Universe, bytes: usize) -> Self {
        // Its launcher multiplies what a connection may have by how many a user may have.
        let of_connection = (bytes / BROKER_CONNECTIONS).to_string();
        let connections = BROKER_CONNECTIONS.to_string();
        let limits = BROKER_LIMITS.replace("@BYTES@", &of_connection).replace("@CONNECTIONS@", &connections);
        let config = prepare(&limits);
        if !Path::new(JOURNAL).exists() {
            let mut controller = tool::command("dbus-daemon");
            controller.args(["--session", "--nofork", "--print-address", "--address", CONTROLLER]);
            universe.host().spawn("controller", controller).wait_for_log("unix:").await;
            swallow_journal();
        }
        let path = SYSTEM_BUS.strip_prefix("unix:path=").expect("a path");
        let listener = UnixListener::bind(path).expect("listen for clients");
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("let everybody connect");
        let mut command = tool::command("sh");
        command.args(["-c", "export LISTEN_PID=$$; exec \"$@\"", "sh"]);
        command.arg(tool::command("dbus-broker-launch").get_program());
        command.args(["--scope", "user", "--config-file"]).arg(config);
        command.env("LISTEN_FDS", "1").env("DBUS_SESSION_BUS_ADDRESS", CONTROLLER);
        let fd = listener.as_raw_fd();
        // SAFETY: dup2 is safe between fork and exec, and the listener outlives the spawn.
        unsafe {
            command.pre_exec(move || {
                if libc::dup2(fd, 3) < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
            });
        }
        let process = universe.host().spawn("dbus-broker", command);
        let bus = Self { process, privilege: universe.privilege() };
        // Those who connect wait until it runs.
        drop(bus.connect().await);
        bus
    }

    /// Either of them.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub async fn start_program(universe: &Universe, program: BusProgram) -> Self {
        match program {
            BusProgram::DbusDaemon => Self::start(universe).await,
            BusProgram::DbusBroker => Self::start_broker(universe).await,
        }
    }

    /// Ends it; another program can be the bus then.
    pub async fn end(self) {
        self.process.kill().await;
        // It is not there when the bus took it away itself.
        let _ = fs::remove_file(SYSTEM_BUS.trim_start_matches("unix:path="));
    }

    /// Where it listens.
    pub fn address(&self) -> &'static str {
        SYSTEM_BUS
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A new connection, as the user of the test.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect(&self) -> Connection {
        let builder = zbus::connection::Builder::address(SYSTEM_BUS);
        crate::wait::completes("a connection to the bus", builder.build()).await.expect("connect to the bus")
    }

    pub(crate) fn privilege(&self) -> Privilege {
        self.privilege
    }
}

/// Makes what both buses need; where the configuration is.
fn prepare(limits: &str) -> std::path::PathBuf {
    let config =
        CONFIG.replace("@ADDRESS@", SYSTEM_BUS).replace("@POLICY@", POLICY).replace("@LIMITS@", limits);
    fs::create_dir_all("/run/dbus").expect("make /run/dbus");
    fs::set_permissions("/run/dbus", fs::Permissions::from_mode(0o755)).expect("open /run/dbus to all");
    write_file("bus.conf", &config)
}

/// dbus-broker logs to the journal and does not run without one.
fn swallow_journal() {
    fs::create_dir_all(Path::new(JOURNAL).parent().expect("a folder")).expect("the journal's folder");
    let socket = UnixDatagram::bind(JOURNAL).expect("the journal's socket");
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while socket.recv(&mut buffer).is_ok() {}
    });
}
