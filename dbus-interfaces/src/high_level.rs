//! A connection to a name that the service makes, over several PvDs.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use zbus::proxy::MethodFlags;
use zbus::{Connection, OwnedObjectPath};

use crate::error::{Error, Result};
use crate::happy_eyeballs::{Family, Policy, Reserve, Selector};
use crate::proxy::HighLevelProxy;
use crate::request::Protocol;
use crate::wire::{ConnectToNameOptions, NameConnectionDetails, millis, parse_address};

/// A connection to be made to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRequest {
    /// A host name, or an address as text.
    pub name: String,
    /// 1 to 65535.
    pub port: u16,
    /// Which PvDs, and which first.
    pub policy: Policy,
    /// Only addresses of this family; `None` for both.
    pub family: Option<Family>,
    /// 1 ms to 120 s for all of it; the service's own default is 20 s.
    pub timeout: Option<Duration>,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The user may be asked to authorise it (polkit). For programs with a person in front of them.
    pub interactive: bool,
}

impl NameRequest {
    /// A TCP connection in any PvD, with the service's defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            port,
            policy: Policy::default(),
            family: None,
            timeout: None,
            protocol: Protocol::Tcp,
            interactive: false,
        }
    }

    fn to_wire(&self) -> ConnectToNameOptions {
        let selectors = |list: &[Selector]| {
            (!list.is_empty()).then(|| list.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let reserve = |reserve: Reserve| match reserve {
            Reserve::Last => None,
            Reserve::Never => Some("never".to_owned()),
            Reserve::Equal => Some("equal".to_owned()),
        };
        ConnectToNameOptions {
            require: selectors(&self.policy.require),
            prefer: selectors(&self.policy.prefer),
            avoid: selectors(&self.policy.avoid),
            captive: reserve(self.policy.captive),
            no_internet: reserve(self.policy.no_internet),
            family: self.family.map(|family| match family {
                Family::V6 => "ipv6".to_owned(),
                Family::V4 => "ipv4".to_owned(),
            }),
            timeout: self.timeout.map(millis),
            protocol: (self.protocol == Protocol::Mptcp).then(|| "mptcp".to_owned()),
        }
    }
}

/// A connection made.
#[derive(Debug)]
pub struct ConnectedToName {
    /// Connected, in blocking mode, bound to the PvD that won. It is the caller's: nothing that happens to the
    /// PvD or the service closes it or moves it to another PvD.
    pub socket: OwnedFd,
    /// The PvD that won; it may have gone since.
    pub pvd: OwnedObjectPath,
    /// Its Id.
    pub pvd_id: String,
    /// The address of the name that is connected to.
    pub address: IpAddr,
    /// The other end: behind a NAT64 not the address itself.
    pub remote: SocketAddr,
    /// This end.
    pub local: Option<SocketAddr>,
    /// From the first packet of the attempt that won to the connection.
    pub handshake: Option<Duration>,
    /// How the race went, a line for each event.
    pub story: Vec<String>,
}

/// Has the service connect to a name, in whichever PvD leads there first. [`crate::happy_eyeballs::connect`]
/// does the same with a socket of the program's own.
///
/// ```no_run
/// # async fn example() -> Result<(), mif::Error> {
/// let bus = mif::connect(&mif::BusChoice::System).await?;
/// let request = mif::NameRequest::new("www.example.org", 443);
/// let connected = mif::connect_to_name(&bus, &request).await?;
/// let stream = std::net::TcpStream::from(connected.socket);
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Reply`] with the service's reason.
pub async fn connect_to_name(connection: &Connection, request: &NameRequest) -> Result<ConnectedToName> {
    let proxy = HighLevelProxy::new(connection).await?;
    let flags = if request.interactive { MethodFlags::ALLOW_INTERACTIVE_AUTH } else { MethodFlags::empty() };
    let body = (&request.name, request.port, request.to_wire());
    let (socket, details): (zbus::OwnedFd, NameConnectionDetails) = proxy
        .inner()
        .call_with_flags("ConnectToName", flags, &body)
        .await?
        .ok_or_else(|| Error::unexpected("reply of ConnectToName", "there is none"))?;
    connected(socket.into(), request.port, details)
}

fn connected(socket: OwnedFd, port: u16, details: NameConnectionDetails) -> Result<ConnectedToName> {
    let missing = |key: &str| Error::unexpected("reply of ConnectToName", format!("{key} is missing"));
    let address = |text: &str, what: &str| -> Result<IpAddr> { parse_address(text, what) };
    let of_name = details.address.as_deref().ok_or_else(|| missing("address"))?;
    let remote = details.remote_address.as_deref().unwrap_or(of_name);
    let local = match (details.local_address.as_deref(), details.local_port) {
        (Some(text), Some(port)) => {
            Some(SocketAddr::new(address(text, "local-address of a connection")?, port))
        }
        _ => None,
    };
    Ok(ConnectedToName {
        socket,
        pvd: details.pvd.ok_or_else(|| missing("pvd"))?,
        pvd_id: details.pvd_id.ok_or_else(|| missing("pvd-id"))?,
        address: address(of_name, "address of a connection")?,
        remote: SocketAddr::new(address(remote, "remote-address of a connection")?, port),
        local,
        handshake: details.handshake_us.map(|micros| Duration::from_micros(micros.into())),
        story: details.story.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_not_wanted_does_not_travel() {
        assert_eq!(NameRequest::new("www.example.org", 443).to_wire(), ConnectToNameOptions::default());
        let policy = Policy {
            avoid: vec!["kind:wwan".parse().unwrap(), "home.example".parse().unwrap()],
            captive: Reserve::Never,
            ..Policy::default()
        };
        let request =
            NameRequest { policy, family: Some(Family::V4), ..NameRequest::new("www.example.org", 443) };
        let wire = request.to_wire();
        assert_eq!(wire.avoid.unwrap(), ["kind:wwan", "id:home.example"]);
        assert_eq!((wire.captive.as_deref(), wire.family.as_deref()), (Some("never"), Some("ipv4")));
        assert_eq!((wire.require, wire.no_internet), (None, None));
    }
}
