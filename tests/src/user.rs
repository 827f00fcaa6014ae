//! Programs as other users, in root universes.

use std::process::Command;

use crate::tool;

/// The service user: what the package's sysusers file would make.
pub const SERVICE_USER: &str = "mifd";

/// An ordinary user.
pub const ORDINARY_USER: &str = "visitor";

/// All rights the service has when it is not root, in the words of setpriv(1).
const CAPABILITIES: &str = "-all,+chown,+net_admin,+net_bind_service,+net_raw";

/// A command as the service user, with the four capabilities of the service and no way to more.
pub fn as_service(command: Command) -> Command {
    let mut setpriv = become_user(SERVICE_USER);
    for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
        setpriv.arg(format!("{set}={CAPABILITIES}"));
    }
    wrap(setpriv, &command)
}

/// A command as an ordinary user without any rights.
pub fn as_visitor(command: Command) -> Command {
    let mut setpriv = become_user(ORDINARY_USER);
    setpriv.args(["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]);
    wrap(setpriv, &command)
}

fn become_user(user: &str) -> Command {
    let mut setpriv = tool::command("setpriv");
    setpriv.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
    setpriv.args(["--clear-groups", "--no-new-privs"]);
    setpriv
}

fn wrap(mut setpriv: Command, command: &Command) -> Command {
    setpriv.arg("--").arg(command.get_program()).args(command.get_args());
    setpriv
}
