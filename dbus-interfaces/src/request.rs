//! One thing done in one PvD, and its result.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use zbus::proxy::MethodFlags;
use zbus::{Connection, ObjectPath};

use crate::error::{Error, Result};
use crate::proxy::ProvisioningDomainProxy;
use crate::wire::{
    AnswerDetails, BindSocketOptions, BindingDetails, ConnectToAddressOptions, ConnectionDetails,
    ExplainOptions, ExplanationDetails, Family, TranslateNameOptions, TranslationSystem, millis,
    parse_address,
};

/// How to translate a name; the default leaves everything to the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TranslateOptions {
    /// Only addresses of this family (`Ipv4` or `Ipv6`); `None` for any.
    pub family: Option<Family>,
    /// Give up after this time, 1 ms to 120 s; the service's own default is 10 s.
    pub timeout: Option<Duration>,
    /// Only these translation systems, asked in the service's order; empty for its choice by the name.
    pub systems: Vec<TranslationSystem>,
}

impl TranslateOptions {
    pub(crate) fn to_wire(&self) -> TranslateNameOptions {
        TranslateNameOptions {
            family: self.family.as_ref().map(ToString::to_string),
            timeout: self.timeout.map(millis),
            systems: (!self.systems.is_empty()).then(|| self.systems.clone()),
        }
    }
}

/// The whole answer to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// At least one.
    pub answers: Vec<Answer>,
    /// Where the name's aliases end.
    pub canonical_name: Option<String>,
    /// There were more addresses than the service delivers for one name.
    pub truncated: bool,
}

/// One address of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The address.
    pub address: IpAddr,
    /// What found it.
    pub source: Option<TranslationSystem>,
    /// How long it may be kept.
    pub ttl: Option<Duration>,
    /// The server that said so.
    pub server: Option<String>,
    /// udp, tcp, dot, doh, doq.
    pub transport: Option<String>,
    /// Question and answer went encrypted.
    pub encrypted: bool,
    /// Made from an IPv4 address with the PvD's NAT64 prefix.
    pub synthesized: bool,
}

impl Answer {
    /// From an address and what came with it.
    pub(crate) fn decode(address: &str, details: AnswerDetails) -> Result<Self> {
        Ok(Self {
            address: parse_address(address, "address in a translation")?,
            source: details.source,
            ttl: details.ttl.map(|seconds| Duration::from_secs(seconds.into())),
            server: details.server,
            transport: details.transport,
            encrypted: details.encrypted.unwrap_or(false),
            synthesized: details.synthesized.unwrap_or(false),
        })
    }
}

/// The transport protocol of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// Multipath TCP; that it stays in the PvD is promised for the first subflow.
    Mptcp,
}

/// A connection to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The other end.
    pub address: IpAddr,
    /// 1 to 65535.
    pub port: u16,
    /// Connect from this address of the PvD; `None` for the service's choice by RFC 6724.
    pub source: Option<IpAddr>,
    /// 1 ms to 120 s; the service's own default is 20 s.
    pub timeout: Option<Duration>,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The user may be asked to authorise it (polkit). For programs with a person in front of them.
    pub interactive: bool,
}

impl ConnectRequest {
    /// A TCP connection with the service's defaults.
    #[must_use]
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port, source: None, timeout: None, protocol: Protocol::Tcp, interactive: false }
    }

    pub(crate) fn flags(&self) -> MethodFlags {
        if self.interactive { MethodFlags::ALLOW_INTERACTIVE_AUTH } else { MethodFlags::empty() }
    }

    pub(crate) fn to_wire(&self) -> ConnectToAddressOptions {
        ConnectToAddressOptions {
            source: self.source.map(|source| source.to_string()),
            timeout: self.timeout.map(millis),
            protocol: (self.protocol == Protocol::Mptcp).then(|| "mptcp".to_owned()),
        }
    }
}

/// A connection made.
#[derive(Debug)]
pub struct ConnectedSocket {
    /// Connected, in blocking mode, bound to the PvD. It is the caller's: nothing that happens to the PvD
    /// or the service closes it or moves it to another PvD.
    pub socket: OwnedFd,
    /// This end.
    pub local: Option<SocketAddr>,
    /// From the first packet to the connection.
    pub handshake: Option<Duration>,
}

/// How to bind a socket; the default leaves everything to the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindRequest {
    /// Bind to this address of the PvD.
    pub source: Option<IpAddr>,
    /// Bind to the address of the PvD that suits this destination best (RFC 6724). Nothing is sent.
    pub destination: Option<IpAddr>,
    /// Bind to this port; `None` for any. Of TCP sockets that is chosen when they connect or listen.
    pub local_port: Option<u16>,
    /// The user may be asked to authorise it (polkit). For programs with a person in front of them.
    pub interactive: bool,
}

impl BindRequest {
    /// A socket that is to connect to `destination`.
    #[must_use]
    pub fn to(destination: IpAddr) -> Self {
        Self { destination: Some(destination), ..Self::default() }
    }

    pub(crate) fn to_wire(&self) -> BindSocketOptions {
        BindSocketOptions {
            source: self.source.map(|source| source.to_string()),
            destination: self.destination.map(|destination| destination.to_string()),
            local_port: self.local_port,
        }
    }
}

/// Where a socket was bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The address of the PvD.
    pub source: Option<IpAddr>,
    /// The port, if it is chosen already.
    pub local_port: Option<u16>,
    /// The name of the interface.
    pub device: Option<String>,
}

/// Translates a name in a PvD (draft 3.5.16), and waits for the whole answer.
///
/// # Errors
/// [`Error::Reply`] with the service's reason.
pub async fn translate_name(
    connection: &Connection,
    pvd: &ObjectPath<'_>,
    name: &str,
    options: &TranslateOptions,
) -> Result<Translation> {
    let (addresses, details) =
        pvd_proxy(connection, pvd).await?.translate_name(name, &options.to_wire()).await?;
    let answers = match details.answers {
        Some(answers) => answers.into_iter().map(answer_entry).collect::<Result<_>>()?,
        None => addresses
            .iter()
            .map(|address| Answer::decode(address, AnswerDetails::default()))
            .collect::<Result<_>>()?,
    };
    Ok(Translation {
        answers,
        canonical_name: details.canonical_name,
        truncated: details.truncated.unwrap_or(false),
    })
}

/// Makes a connection in a PvD (draft 3.5.19 and, with a source, 3.5.20), and waits for it.
///
/// # Errors
/// [`Error::Reply`] with the service's reason.
pub async fn connect_to_address(
    connection: &Connection,
    pvd: &ObjectPath<'_>,
    request: &ConnectRequest,
) -> Result<ConnectedSocket> {
    let proxy = pvd_proxy(connection, pvd).await?;
    let flags = request.flags();
    let body = (request.address.to_string(), request.port, request.to_wire());
    let (socket, details): (zbus::OwnedFd, ConnectionDetails) = proxy
        .inner()
        .call_with_flags("ConnectToAddress", flags, &body)
        .await?
        .ok_or_else(|| Error::unexpected("reply of ConnectToAddress", "there is none"))?;
    Ok(ConnectedSocket {
        socket: socket.into(),
        local: local(&details)?,
        handshake: details.handshake_us.map(|micros| Duration::from_micros(micros.into())),
    })
}

/// Binds a socket of the caller's own to a PvD, so that its connect, listen, or datagrams stay in it. The socket is a
/// fresh one of TCP, MPTCP or UDP, and keeps its owner and its options.
///
/// # Errors
/// [`Error::Reply`] with the service's reason; the socket is as it was then.
pub async fn bind_socket(
    connection: &Connection,
    pvd: &ObjectPath<'_>,
    socket: &impl AsFd,
    request: &BindRequest,
) -> Result<Binding> {
    let proxy = pvd_proxy(connection, pvd).await?;
    let flags = if request.interactive { MethodFlags::ALLOW_INTERACTIVE_AUTH } else { MethodFlags::empty() };
    let body = (zbus::Fd::from(socket.as_fd()), request.to_wire());
    let details: BindingDetails = proxy
        .inner()
        .call_with_flags("BindSocket", flags, &body)
        .await?
        .ok_or_else(|| Error::unexpected("reply of BindSocket", "there is none"))?;
    let source = details.source.as_deref().map(|source| parse_address(source, "source of a socket"));
    Ok(Binding { source: source.transpose()?, local_port: details.local_port, device: details.device })
}

/// How a connection to `address` would leave a PvD, and why not otherwise. Nothing is sent.
///
/// # Errors
/// [`Error::Reply`] with the service's reason. That a connection would be refused is part of the explanation.
pub async fn explain(
    connection: &Connection,
    pvd: &ObjectPath<'_>,
    address: IpAddr,
    source: Option<IpAddr>,
) -> Result<ExplanationDetails> {
    let options = ExplainOptions { source: source.map(|source| source.to_string()) };
    Ok(pvd_proxy(connection, pvd).await?.explain(&address.to_string(), &options).await?)
}

/// The local end in the details of a connection, when both halves are there.
fn local(details: &ConnectionDetails) -> Result<Option<SocketAddr>> {
    let (Some(address), Some(port)) = (&details.local_address, details.local_port) else { return Ok(None) };
    Ok(Some(SocketAddr::new(parse_address(address, "local-address of a connection")?, port)))
}

fn answer_entry(mut details: AnswerDetails) -> Result<Answer> {
    let address = details
        .address
        .take()
        .ok_or_else(|| Error::unexpected("reply of TranslateName", "an answer without an address"))?;
    Answer::decode(&address, details)
}

pub(crate) async fn pvd_proxy<'a>(
    connection: &'a Connection,
    pvd: &ObjectPath<'_>,
) -> Result<ProvisioningDomainProxy<'a>> {
    Ok(ProvisioningDomainProxy::builder(connection)
        .path(pvd.to_owned())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?)
}
