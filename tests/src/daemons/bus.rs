//! A private dbus-daemon with the rules of the system bus.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use zbus::Connection;

use crate::process::Process;
use crate::tool;
use crate::universe::{Privilege, SYSTEM_BUS, Universe};
use crate::user::SERVICE_USER;

use super::write_file;

/// Who may send what: the rules of dbus-daemon's own `system.conf`, those of our service, and those of the
/// services that stand beside it.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>@ADDRESS@</listen>
  <auth>EXTERNAL</auth>
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
    <allow send_destination="org.ietf.Mif1"/>
    <allow send_destination="org.freedesktop.network1"/>
  </policy>
  <policy user="root">
    <allow own="org.freedesktop.network1"/>
  </policy>
  <policy user="@OWNER@">
    <allow own="org.ietf.Mif1"/>
  </policy>
  <include ignore_missing="yes">/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include>
</busconfig>
"#;

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
        let owner = match universe.privilege() {
            Privilege::UserNamespace => "root",
            Privilege::Root => SERVICE_USER,
        };
        let config = CONFIG.replace("@ADDRESS@", SYSTEM_BUS).replace("@OWNER@", owner);
        let config = write_file("bus.conf", &config);
        fs::create_dir_all("/run/dbus").expect("make /run/dbus");
        fs::set_permissions("/run/dbus", fs::Permissions::from_mode(0o755)).expect("open /run/dbus to all");
        let mut command = tool::command("dbus-daemon");
        command.arg("--config-file").arg(config).args(["--nofork", "--nopidfile", "--nosyslog"]);
        command.arg("--print-address");
        let process = universe.host().spawn("dbus-daemon", command);
        process.wait_for_log("unix:").await;
        Self { process, privilege: universe.privilege() }
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
