//! `mifctl connect`: a connection by the first provisioning domain that leads there, or by one.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use mif::happy_eyeballs::{self, Event, Family, Options, Selector, Story};
use mif::{ConnectRequest, ProvisioningDomain};
use serde::Serialize;
use zbus::Connection;

use crate::args::{ConnectArguments, FamilyChoice};
use crate::failure::{self, Failure};
use crate::output::{Output, Style};
use crate::{format, selection, status};

/// Where the command finds the socket.
const COMMAND_FD: i32 = 3;

/// A command that takes over this process, with its socket.
#[derive(Debug)]
pub struct SocketCommand {
    socket: OwnedFd,
    program: OsString,
    arguments: Vec<OsString>,
}

/// A connection, by whichever way it was made.
struct Established {
    pvd: ProvisioningDomain,
    remote: SocketAddr,
    socket: OwnedFd,
    local: Option<SocketAddr>,
    handshake: Option<Duration>,
    story: Story,
}

/// Connects; then says so, or returns the command that is to have the socket.
pub async fn run(
    connection: &Connection,
    arguments: &ConnectArguments,
    output: &mut Output,
) -> Result<Option<SocketCommand>, Failure> {
    let established = match (&arguments.pvd, arguments.host.parse::<IpAddr>()) {
        (Some(pvd), Ok(address)) => by_one(connection, arguments, pvd, address).await?,
        _ => race(connection, arguments).await?,
    };
    if arguments.story && !output.is_json() {
        output.text(&established.story.to_string())?;
    }
    if let [program, rest @ ..] = &arguments.command[..] {
        output.finish()?;
        return Ok(Some(SocketCommand {
            socket: established.socket,
            program: program.clone(),
            arguments: rest.to_vec(),
        }));
    }
    if output.is_json() {
        output.json(&Report::new(&established))?;
    } else {
        let name = output.paint().paint(Style::Name, &established.pvd.id);
        output.text(&render(&name, &established))?;
    }
    Ok(None)
}

/// One address in one PvD.
async fn by_one(
    connection: &Connection,
    arguments: &ConnectArguments,
    pvd: &str,
    address: IpAddr,
) -> Result<Established, Failure> {
    let state = status::read_state(connection).await?;
    let pvd = selection::select_one(&state, pvd, address)?;
    let request = ConnectRequest {
        source: arguments.source,
        timeout: arguments.timeout,
        interactive: failure::person_present(),
        ..ConnectRequest::new(address, arguments.port)
    };
    let connected = mif::connect_to_address(connection, &pvd.path, &request).await?;
    Ok(Established {
        pvd: pvd.clone(),
        remote: SocketAddr::new(address, arguments.port),
        socket: connected.socket,
        local: connected.local,
        handshake: connected.handshake,
        story: Story::default(),
    })
}

/// Every address in every PvD that may be used, until one is connected.
async fn race(connection: &Connection, arguments: &ConnectArguments) -> Result<Established, Failure> {
    let mut options = Options {
        family: match arguments.family {
            FamilyChoice::Any => None,
            FamilyChoice::Ipv4 => Some(Family::V4),
            FamilyChoice::Ipv6 => Some(Family::V6),
        },
        interactive: failure::person_present(),
        ..Options::default()
    };
    options.policy.prefer.clone_from(&arguments.prefer);
    options.policy.avoid.clone_from(&arguments.avoid);
    if let Some(timeout) = arguments.timeout {
        options.timing.limit = timeout;
    }
    if let Some(pvd) = &arguments.pvd {
        let state = status::read_state(connection).await?;
        let meant = selection::select(&state, pvd)?;
        options.policy.require = meant.into_iter().map(|pvd| Selector::Id(pvd.id.clone())).collect();
    }
    let raced = happy_eyeballs::connect(connection, &arguments.host, arguments.port, &options).await;
    let raced = match raced {
        Err(mif::Error::Lost(lost)) if arguments.story => return Err(Failure::Lost(lost)),
        raced => raced?,
    };
    Ok(Established {
        pvd: raced.pvd,
        remote: raced.remote,
        socket: raced.socket,
        local: raced.local,
        handshake: None,
        story: raced.story,
    })
}

impl SocketCommand {
    /// Executes the command in place of this process, with the socket as file descriptor 3. Returns only
    /// when that fails.
    pub fn execute(self) -> Failure {
        // SAFETY: dup2 touches no memory. What was descriptor 3 is not used after this: the runtime and the
        // bus connection are gone, and this function ends the program one way or the other.
        let result = unsafe { libc::dup2(self.socket.as_raw_fd(), COMMAND_FD) };
        let onto_itself = self.socket.as_raw_fd() == COMMAND_FD;
        let error = if result < 0 || (onto_itself && keep_over_exec() < 0) {
            std::io::Error::last_os_error()
        } else {
            Command::new(&self.program).args(&self.arguments).exec()
        };
        Failure::Execute { command: self.program, source: error }
    }
}

/// dup2 onto itself leaves FD_CLOEXEC as it was.
fn keep_over_exec() -> i32 {
    // SAFETY: F_SETFD takes a number and touches no memory.
    unsafe { libc::fcntl(COMMAND_FD, libc::F_SETFD, 0) }
}

/// `Connected to 192.0.2.80 port 80 from 192.0.2.10 port 40112 in 1.2 ms, in implicit:eth0:ipv4.`
fn render(pvd: &str, made: &Established) -> String {
    let from =
        made.local.map_or(String::new(), |local| format!(" from {} port {}", local.ip(), local.port()));
    let time = made.handshake.map_or(String::new(), |time| format!(" in {}", format::elapsed(time)));
    format!("Connected to {} port {}{from}{time}, in {pvd}.\n", made.remote.ip(), made.remote.port())
}

/// The schema is in `mifctl connect --help`.
#[derive(Serialize)]
struct Report<'a> {
    pvd: &'a str,
    id: &'a str,
    remote_address: IpAddr,
    remote_port: u16,
    local_address: Option<IpAddr>,
    local_port: Option<u16>,
    handshake_us: Option<u64>,
    story: Vec<Chapter>,
}

#[derive(Serialize)]
struct Chapter {
    at_ms: f64,
    event: String,
}

impl<'a> Report<'a> {
    fn new(made: &'a Established) -> Self {
        let story = &made.story;
        let chapter = |event: &Event| Chapter {
            at_ms: event.at.as_secs_f64() * 1000.0,
            event: story.in_words(&event.what),
        };
        Self {
            pvd: made.pvd.path.as_str(),
            id: &made.pvd.id,
            remote_address: made.remote.ip(),
            remote_port: made.remote.port(),
            local_address: made.local.map(|local| local.ip()),
            local_port: made.local.map(|local| local.port()),
            handshake_us: made.handshake.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
            story: story.events.iter().map(chapter).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::status::samples;

    #[test]
    fn both_ends_and_the_time_are_said_when_they_are_known() {
        let mut made = Established {
            pvd: samples::two_isps().pvds().next().unwrap().clone(),
            remote: "192.0.2.80:80".parse().unwrap(),
            socket: std::fs::File::open("/dev/null").unwrap().into(),
            local: Some("192.0.2.10:40112".parse().unwrap()),
            handshake: Some(Duration::from_micros(1_240)),
            story: Story::default(),
        };
        assert_eq!(
            render("home", &made),
            "Connected to 192.0.2.80 port 80 from 192.0.2.10 port 40112 in 1.2 ms, in home.\n"
        );
        made.local = None;
        made.handshake = None;
        assert_eq!(render("home", &made), "Connected to 192.0.2.80 port 80, in home.\n");
    }
}
