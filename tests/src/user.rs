//! Programs as other users, in root universes.

use std::ffi::CString;
use std::future::Future;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, getgrouplist, setgroups, setresgid, setresuid};
use zbus::Connection;

use crate::daemons::Bus;
use crate::tool;

/// The service user: what the package's sysusers file would make.
pub const SERVICE_USER: &str = "mifd";

/// An ordinary user.
pub const ORDINARY_USER: &str = "visitor";

/// The group of those who may connect where there is no polkit, or where the example rules are in force.
pub const GROUP: &str = "mif";

/// A user in that group.
pub const MEMBER: &str = "member";

/// The user as whom polkitd runs.
pub const POLKIT_USER: &str = "polkitd";

/// Where the service keeps what outlives it.
const RUNTIME_DIRECTORY: &str = "/run/mif";

/// All rights the service has when it is not root, in the words of setpriv(1).
const CAPABILITIES: [&str; 4] = ["chown", "net_admin", "net_bind_service", "net_raw"];

/// A command as the service user, with the four capabilities of the service and no way to more.
pub fn as_service(command: Command) -> Command {
    as_service_without(&[], command)
}

/// The same without some of them, in the words of setpriv(1).
pub fn as_service_without(missing: &[String], command: Command) -> Command {
    let mut setpriv = become_user(SERVICE_USER);
    let given = CAPABILITIES.into_iter().filter(|capability| !missing.iter().any(|it| it == capability));
    let given: String = given.map(|capability| format!(",+{capability}")).collect();
    for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
        setpriv.arg(format!("{set}=-all{given}"));
    }
    wrap(setpriv, &command)
}

/// Makes the service's folder below /run, as the service manager would.
///
/// # Panics
/// When it cannot be made.
pub fn make_runtime_directory() {
    std::fs::create_dir_all(RUNTIME_DIRECTORY).expect("make the runtime directory");
    let user = nix::unistd::User::from_name(SERVICE_USER).expect("the users").expect("the service user");
    let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    std::os::unix::fs::chown(RUNTIME_DIRECTORY, uid, gid).expect("give it to the service user");
}

/// A command as an ordinary user without any rights.
pub fn as_visitor(command: Command) -> Command {
    without_rights(ORDINARY_USER, &command)
}

/// A command as a member of the group, without any rights.
pub fn as_member(command: Command) -> Command {
    without_rights(MEMBER, &command)
}

fn without_rights(user: &str, command: &Command) -> Command {
    let mut setpriv = become_user(user);
    setpriv.args(["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]);
    wrap(setpriv, command)
}

/// The uid of a user of the universe.
///
/// # Panics
/// When there is none of this name.
pub fn uid_of(name: &str) -> Uid {
    user(name).uid
}

/// A connection to the bus that belongs to another user, in all its groups.
///
/// # Panics
/// When this process is not root, or the bus refuses.
pub async fn connect_as(bus: &Bus, name: &str) -> Connection {
    as_user(name, bus.connect()).await
}

/// Makes something as another user, in all its groups, such as a connection to a bus, which notes who connects. This
/// process is root again before it returns.
///
/// # Panics
/// When this process is not root.
pub async fn as_user<T>(name: &str, make: impl Future<Output = T>) -> T {
    let (user, root) = (user(name), (Uid::from_raw(0), Gid::from_raw(0)));
    let groups = getgrouplist(&CString::new(name).expect("a name"), user.gid).expect("groups");
    setgroups(&groups).expect("become a member of other groups");
    setresgid(user.gid, user.gid, root.1).expect("become a member of another group");
    setresuid(user.uid, user.uid, root.0).expect("become another user");
    let made = make.await;
    setresuid(root.0, root.0, root.0).expect("become root again");
    setresgid(root.1, root.1, root.1).expect("become root again");
    setgroups(&[root.1]).expect("become root again");
    made
}

fn user(name: &str) -> User {
    User::from_name(name).ok().flatten().unwrap_or_else(|| panic!("this universe has no user {name}"))
}

fn become_user(user: &str) -> Command {
    let mut setpriv = tool::command("setpriv");
    setpriv.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
    setpriv.args(["--init-groups", "--no-new-privs"]);
    setpriv
}

fn wrap(mut setpriv: Command, command: &Command) -> Command {
    setpriv.arg("--").arg(command.get_program()).args(command.get_args());
    setpriv
}
