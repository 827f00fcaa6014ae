//! Who a client is, whether it may have packets sent for it, and who decides whether it may have sockets.

mod polkit;
mod process;

use super::call::Call;
use super::error::{BusError, Name};
use nix::fcntl::AtFlags;
use nix::sys::stat;
use nix::unistd::{Gid, Uid, User, getgrouplist};
use polkit::{Consent, Polkit};
use std::ffi::CString;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zbus::Connection;

/// The group whose members may connect where there is no polkit.
const GROUP: &str = "mif";

/// Who decides whether a client may have sockets connected or bound for it (contract, Authorisation). Chosen once,
/// at start. Root is never asked about.
#[derive(Clone, Debug)]
pub enum Authority {
    /// polkit, by its action `org.ietf.Mif1.connect`.
    Polkit(Polkit),
    /// Without polkit: the members of this group, if there is one.
    Group(Option<u32>),
    /// The service's own user, as the only one that is served.
    OwnUser,
}

/// What a client wants a socket for; polkit's rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purpose {
    /// The Id of the provisioning domain; `None` while it may be any.
    pub pvd: Option<String>,
    /// The name of the destination, where it is connected to by name.
    pub name: Option<String>,
    /// The destination, where one is named.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// The source, where one is named.
    pub source: Option<IpAddr>,
}

/// What is known of a permission at the time of the call. Not to be worked on before [`Permission::obtain`].
#[derive(Debug)]
#[must_use]
pub struct Permission(Option<Question>);

/// A question that only polkit can answer.
#[derive(Debug)]
struct Question {
    polkit: Polkit,
    call: Call,
    client: Arc<Credentials>,
    purpose: Purpose,
}

/// A permission to connect to a name in any provisioning domain, which holds for each of them as far as nobody has
/// said otherwise of that one.
#[derive(Debug)]
pub struct Grant(Option<(Question, Consent)>);

/// Who a client is, for as long as its unique name lives.
#[derive(Debug)]
pub struct Credentials {
    /// Its user.
    pub uid: u32,
    groups: Vec<u32>,
    process: Process,
    /// One open prompt a client.
    prompts: Semaphore,
}

#[derive(Debug)]
enum Process {
    /// Its folder /proc/PID/net. What is in there is of the namespace in which the process is when it is looked at; once
    /// it has ended nothing is, and another process of the same number has another folder.
    Pinned { net: OwnedFd },
    /// At the other end of a socket pair that this process made.
    Ourselves,
    /// The bus does not tell, or it is gone already.
    Unknown,
}

/// A network namespace, told apart without any capability: the inode of its /proc/PID/net/dev.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace(u64);

impl Namespace {
    /// The service's own.
    pub fn own() -> io::Result<Self> {
        Self::seen_in(&process::open_net_of("self")?)
    }

    /// That of the process whose /proc/PID/net this is.
    fn seen_in(net: &OwnedFd) -> io::Result<Self> {
        let stat = stat::fstatat(net, "dev", AtFlags::empty())?;
        Ok(Self(stat.st_ino))
    }
}

/// The inode of the service's own network namespace, as /proc/PID/ns/net shows it (Manager.NamespaceId).
pub fn namespace_id() -> io::Result<u64> {
    Ok(stat::stat("/proc/self/ns/net")?.st_ino)
}

impl Authority {
    /// Finds out who decides: polkit where it is there or can be started by the bus.
    ///
    /// # Errors
    /// The bus does not tell.
    pub async fn on(bus: &Connection) -> zbus::Result<Self> {
        if let Some(polkit) = Polkit::on(bus).await? {
            return Ok(Self::Polkit(polkit));
        }
        let group = tokio::task::spawn_blocking(|| nix::unistd::Group::from_name(GROUP)).await;
        let group = group.ok().and_then(Result::ok).flatten();
        Ok(Self::Group(group.map(|group| group.gid.as_raw())))
    }

    /// Whether it is polkit.
    pub const fn is_polkit(&self) -> bool {
        matches!(self, Self::Polkit(_))
    }

    /// Whether the caller may have a socket for `purpose`. Does not wait: what needs asking is asked by
    /// [`Permission::obtain`].
    pub fn permission(
        &self,
        call: &Call,
        client: &Arc<Credentials>,
        purpose: Purpose,
    ) -> Result<Permission, BusError> {
        if client.uid == 0 {
            return Ok(Permission(None));
        }
        match self {
            Self::Polkit(polkit) => {
                let (polkit, call, client) = (polkit.clone(), call.clone(), Arc::clone(client));
                Ok(Permission(Some(Question { polkit, call, client, purpose })))
            }
            Self::Group(Some(group)) if client.groups.contains(group) => Ok(Permission(None)),
            Self::OwnUser if client.uid == nix::unistd::getuid().as_raw() => Ok(Permission(None)),
            Self::Group(_) | Self::OwnUser => Err(BusError::new(
                Name::AccessDenied,
                format!(
                    "user {} may not connect through this service: there is no polkit here to allow it, so only \
                     root and members of the group {GROUP} may",
                    client.uid
                ),
            )),
        }
    }
}

impl Permission {
    /// Waits until it is granted, at most as long as a person needs to answer. Dropping the future takes the
    /// question back.
    ///
    /// # Errors
    /// It is refused; what cannot be told is refused too.
    pub async fn obtain(self) -> Result<(), BusError> {
        self.obtain_for_many().await.map(drop)
    }

    /// The same for work in several provisioning domains: [`Grant::check`] is to be asked about each.
    ///
    /// # Errors
    /// As [`Permission::obtain`].
    pub async fn obtain_for_many(self) -> Result<Grant, BusError> {
        let Some(question) = self.0 else { return Ok(Grant(None)) };
        let Question { polkit, call, client, purpose } = &question;
        let consent = polkit.check(call, client.uid, &client.prompts, purpose).await?;
        Ok(Grant(Some((question, consent))))
    }
}

impl Grant {
    /// Whether it holds in the provisioning domain with the Id `pvd`, to `address`. Rules see both now. Nobody is
    /// prompted: a person who has agreed to the whole has agreed to this too, but not a rule.
    ///
    /// # Errors
    /// It does not, or polkit cannot tell.
    pub async fn check(&self, pvd: &str, address: IpAddr) -> Result<(), BusError> {
        let Some((Question { polkit, call, client, purpose }, consent)) = &self.0 else { return Ok(()) };
        let purpose = Purpose { pvd: Some(pvd.to_owned()), address: Some(address), ..purpose.clone() };
        polkit.check_again(call, client.uid, *consent, &purpose).await
    }
}

impl Credentials {
    /// Those of this process itself.
    pub fn ourselves() -> Self {
        Self::new(nix::unistd::getuid().as_raw(), Vec::new(), Process::Ourselves)
    }

    fn new(uid: u32, groups: Vec<u32>, process: Process) -> Self {
        Self { uid, groups, process, prompts: Semaphore::new(1) }
    }

    /// Asks the bus who `client` is.
    pub async fn ask(bus: &Connection, client: &str) -> zbus::Result<Self> {
        let told = ask_once(bus, client).await?;
        let groups = match told.groups {
            Some(groups) => groups,
            None => groups_of(told.uid).await,
        };
        let net = match (told.process, told.pid) {
            (Some(process), _) => process::net_of(&process),
            (None, Some(pid)) => net_of_number(bus, client, pid).await?,
            (None, None) => None,
        };
        let process = net.map_or(Process::Unknown, |net| Process::Pinned { net });
        Ok(Self::new(told.uid, groups, process))
    }

    /// Whether the client lives in `own` network namespace now. What cannot be told is another one.
    pub fn is_in(&self, own: Namespace) -> bool {
        match &self.process {
            Process::Ourselves => true,
            Process::Unknown => false,
            Process::Pinned { net } => Namespace::seen_in(net).is_ok_and(|there| there == own),
        }
    }
}

/// The folder /proc/PID/net of a client whose bus tells but a number. It is opened, and the bus asked again afterwards: a
/// process that took the number over after the client had left the bus is not believed. One that took it over while
/// another holds the client's end of the connection is, which only a descriptor of the process itself would show.
async fn net_of_number(bus: &Connection, client: &str, pid: u32) -> zbus::Result<Option<OwnedFd>> {
    let Ok(net) = process::open_net_of(&pid.to_string()) else { return Ok(None) };
    let again = ask_once(bus, client).await?.pid;
    Ok((again == Some(pid)).then_some(net))
}

/// What the bus tells of a client.
struct Told {
    uid: u32,
    /// The process that connected; buses from 2023 on tell.
    process: Option<OwnedFd>,
    pid: Option<u32>,
    /// Those it had when it connected. Not every bus tells.
    groups: Option<Vec<u32>>,
}

async fn ask_once(bus: &Connection, client: &str) -> zbus::Result<Told> {
    const BUS: &str = "org.freedesktop.DBus";
    let reply = bus
        .call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetConnectionCredentials", &client)
        .await?;
    let body = reply.body();
    let credentials: std::collections::HashMap<String, zbus::Variant<'_>> = body.deserialize()?;
    let number = |key: &str| match credentials.get(key) {
        Some(zbus::Variant::U32(number)) => Some(*number),
        _ => None,
    };
    let uid = number("UnixUserID").ok_or_else(|| zbus::Error::Failure("the bus tells no user".to_owned()))?;
    let groups = credentials.get("UnixGroupIDs").and_then(|groups| Vec::try_from(groups.clone()).ok());
    let process = match credentials.get("ProcessFD") {
        Some(zbus::Variant::Fd(process)) => process.as_fd().try_clone_to_owned().ok(),
        _ => None,
    };
    Ok(Told { uid, process, pid: number("ProcessID"), groups })
}

/// The groups of a user by the user database, which may be a network away: not on a thread that others need.
async fn groups_of(uid: u32) -> Vec<u32> {
    let look_up = move || {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
        let groups = getgrouplist(&CString::new(user.name).ok()?, user.gid).ok()?;
        Some(groups.into_iter().map(Gid::as_raw).collect())
    };
    tokio::task::spawn_blocking(look_up).await.ok().flatten().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::process::tests::pidfd_of;
    use super::*;
    use crate::connection::tests::pair;
    use futures_util::StreamExt;
    use std::collections::HashMap;
    use std::process::{Command, Stdio};
    use zbus::{Message, MessageStream, Variant};

    /// A bus that tells so much of its one client.
    async fn ask(told: HashMap<&'static str, Variant<'static>>) -> Credentials {
        let (bus, service) = pair().await;
        let mut calls = MessageStream::from(&bus);
        let answering = async {
            while let Some(Ok(call)) = calls.next().await {
                bus.send(&Message::method_return(&call.header()).build(&told).unwrap()).await.unwrap();
            }
        };
        tokio::select! {
            credentials = Credentials::ask(&service, ":1.7") => credentials.unwrap(),
            () = answering => unreachable!("the connection ended"),
        }
    }

    #[tokio::test]
    async fn the_process_itself_counts_and_not_its_number() {
        let own = Namespace::own().unwrap();
        let number = Variant::U32(std::process::id());
        let told = |process: Option<u32>| {
            let process = process.map(|pid| ("ProcessFD", Variant::Fd(pidfd_of(pid).into())));
            let all = [("UnixUserID", Variant::U32(1)), ("ProcessID", number.clone())];
            all.into_iter().chain(process).collect()
        };
        assert!(ask(told(None)).await.is_in(own));
        assert!(ask(told(Some(std::process::id()))).await.is_in(own));
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let told = told(Some(child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!ask(told).await.is_in(own), "its number is somebody else's, and that one is here");
    }
}
