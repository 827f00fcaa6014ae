//! `mifctl connect`: a connection inside one provisioning domain.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use mif::{ConnectRequest, ConnectedSocket, ProvisioningDomain};
use serde::Serialize;
use zbus::Connection;

use crate::args::ConnectArguments;
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

/// Connects; then says so, or returns the command that is to have the socket.
pub async fn run(
    connection: &Connection,
    arguments: &ConnectArguments,
    output: &mut Output,
) -> Result<Option<SocketCommand>, Failure> {
    let state = status::read_state(connection).await?;
    let pvd = selection::select_one(&state, &arguments.pvd, arguments.address)?;
    let request = ConnectRequest {
        source: arguments.source,
        timeout: arguments.timeout,
        interactive: failure::person_present(),
        ..ConnectRequest::new(arguments.address, arguments.port)
    };
    let connected = mif::connect_to_address(connection, &pvd.path, &request).await?;
    if let [program, rest @ ..] = &arguments.command[..] {
        return Ok(Some(SocketCommand {
            socket: connected.socket,
            program: program.clone(),
            arguments: rest.to_vec(),
        }));
    }
    let remote = SocketAddr::new(arguments.address, arguments.port);
    if output.is_json() {
        output.json(&Report::new(pvd, remote, &connected))?;
    } else {
        let name = output.paint().paint(Style::Name, &pvd.id);
        output.text(&render(&name, remote, &connected))?;
    }
    Ok(None)
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

/// `Connected to 192.0.2.80 port 80 from 192.0.2.10 port 40112 in 1.2 ms (implicit:eth0:ipv4).`
fn render(pvd: &str, remote: SocketAddr, connected: &ConnectedSocket) -> String {
    let from =
        connected.local.map_or(String::new(), |local| format!(" from {} port {}", local.ip(), local.port()));
    let time = connected.handshake.map_or(String::new(), |time| format!(" in {}", format::elapsed(time)));
    format!("Connected to {} port {}{from}{time}, in {pvd}.\n", remote.ip(), remote.port())
}

/// The schema is in `mifctl connect --help`.
#[derive(Serialize)]
struct Report<'a> {
    pvd: &'a str,
    id: &'a str,
    remote_address: std::net::IpAddr,
    remote_port: u16,
    local_address: Option<std::net::IpAddr>,
    local_port: Option<u16>,
    handshake_us: Option<u64>,
}

impl<'a> Report<'a> {
    fn new(pvd: &'a ProvisioningDomain, remote: SocketAddr, connected: &ConnectedSocket) -> Self {
        Self {
            pvd: pvd.path.as_str(),
            id: &pvd.id,
            remote_address: remote.ip(),
            remote_port: remote.port(),
            local_address: connected.local.map(|local| local.ip()),
            local_port: connected.local.map(|local| local.port()),
            handshake_us: connected.handshake.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn both_ends_and_the_time_are_said_when_they_are_known() {
        let socket = || std::fs::File::open("/dev/null").unwrap().into();
        let remote: SocketAddr = "192.0.2.80:80".parse().unwrap();
        let mut connected = ConnectedSocket {
            socket: socket(),
            local: Some("192.0.2.10:40112".parse().unwrap()),
            handshake: Some(Duration::from_micros(1_240)),
        };
        assert_eq!(
            render("home", remote, &connected),
            "Connected to 192.0.2.80 port 80 from 192.0.2.10 port 40112 in 1.2 ms, in home.\n"
        );
        connected.local = None;
        connected.handshake = None;
        assert_eq!(render("home", remote, &connected), "Connected to 192.0.2.80 port 80, in home.\n");
    }
}
