//! Requests to the kernel. One at a time, each answered before the next.

use super::error::RoutingError;
use super::message;
use futures_util::StreamExt;
use mif_core::configuration::AddressFamily;
use mif_core::event::Ifindex;
use mif_core::routing::{Layout, Mark, RouteChange, Rule, TableRoute};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourState};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use rtnetlink::{Handle, IpVersion};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use tokio::task::AbortHandle;

/// The kernel's rules and routes.
#[derive(Debug)]
pub(super) struct Kernel {
    handle: Handle,
    layout: Layout,
    connection: AbortHandle,
}

/// A rule of this service that is in the kernel.
#[derive(Clone, Debug)]
pub(super) struct FoundRule {
    /// What it is; `None`: of a run that was configured otherwise.
    pub(super) rule: Option<Rule>,
    /// As the kernel describes it.
    message: RuleMessage,
}

/// A route of this service that is in the kernel.
#[derive(Clone, Debug)]
pub(super) struct FoundRoute {
    /// In which table.
    pub(super) table: Mark,
    /// What it is; `None`: nothing that this service makes.
    pub(super) route: Option<TableRoute>,
    /// As the kernel describes it.
    message: RouteMessage,
}

impl Kernel {
    /// To be called in a tokio runtime.
    pub(super) fn open(layout: Layout) -> Result<Self, RoutingError> {
        // Before Linux 4.20 the kernel tells more than was asked for; what is not ours is left out here too.
        let (connection, handle, _) = rtnetlink::new_connection_with_strict_check()
            .or_else(|_| rtnetlink::new_connection())
            .map_err(RoutingError::Open)?;
        Ok(Self { handle, layout, connection: tokio::spawn(connection).abort_handle() })
    }

    /// How rules are laid out.
    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether rules of `family` can be made, and by this process: finds out by removing one that nobody has. To make one,
    /// if only for a moment, has the kernel part its local and main table for good, which takes long with many routes.
    pub(super) async fn takes_rules(&self, family: AddressFamily) -> io::Result<()> {
        let nobodys = Rule::LookUp(Mark(self.layout.space.tag()));
        let message = message::rule(&self.layout, family, nobodys);
        match self.handle.rule().del(message).execute().await.map_err(|error| cause(&error)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    /// All rules of this service in `family`.
    pub(super) async fn rules(&self, family: AddressFamily) -> Result<Vec<FoundRule>, RoutingError> {
        let version = match family {
            AddressFamily::Ipv4 => IpVersion::V4,
            AddressFamily::Ipv6 => IpVersion::V6,
        };
        let mut dump = Box::pin(self.handle.rule().get(version).execute());
        let mut found = Vec::new();
        while let Some(message) = dump.next().await {
            let message = match message.map_err(|error| cause(&error)) {
                Ok(message) => message,
                Err(error) if is_absent(&error) => break,
                Err(source) => return Err(RoutingError::Kernel { what: "read the kernel's rules", source }),
            };
            if message::is_own_rule(&message) {
                let rule = message::read_rule(&self.layout, family, &message);
                found.push(FoundRule { rule, message });
            }
        }
        Ok(found)
    }

    /// The routes of this service in `family`, of one table or of all, in the kernel's order.
    pub(super) async fn routes(
        &self,
        family: AddressFamily,
        table: Option<Mark>,
    ) -> Result<Vec<FoundRoute>, RoutingError> {
        let request = message::own_routes(family, table);
        let mut dump = Box::pin(self.handle.route().get(request).execute());
        let mut found = Vec::new();
        while let Some(message) = dump.next().await {
            let message = match message.map_err(|error| cause(&error)) {
                Ok(message) => message,
                Err(error) if is_absent(&error) => break,
                Err(source) => return Err(RoutingError::Kernel { what: "read the kernel's routes", source }),
            };
            let of = message::table_of(&message);
            if message::is_own_route(&message) && table.is_none_or(|table| table == of) {
                found.push(FoundRoute { table: of, route: message::read_route(&message), message });
            }
        }
        Ok(found)
    }

    /// Makes a rule; one that is there already is as good.
    pub(super) async fn add_rule(&self, family: AddressFamily, rule: Rule) -> io::Result<()> {
        let mut request = self.handle.rule().add();
        *request.message_mut() = message::rule(&self.layout, family, rule);
        match request.execute().await.map_err(|error| cause(&error)) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            result => result,
        }
    }

    /// Removes a rule; one that is gone is as good.
    pub(super) async fn remove_rule(&self, family: AddressFamily, rule: Rule) -> io::Result<()> {
        self.delete_rule(message::rule(&self.layout, family, rule)).await
    }

    /// The same for one that was found.
    pub(super) async fn remove_found_rule(&self, found: FoundRule) -> io::Result<()> {
        self.delete_rule(found.message).await
    }

    async fn delete_rule(&self, message: RuleMessage) -> io::Result<()> {
        match self.handle.rule().del(message).execute().await.map_err(|error| cause(&error)) {
            Err(error) if is_absent(&error) => Ok(()),
            result => result,
        }
    }

    /// Carries out a step in the table of `table`.
    pub(super) async fn change(&self, table: Mark, change: RouteChange) -> io::Result<()> {
        match change {
            RouteChange::Put(route) => self.add_route(table, route, NLM_F_REPLACE).await,
            RouteChange::Append(route) => self.add_route(table, route, NLM_F_APPEND).await,
            RouteChange::Remove(route) => self.delete_route(message::route(table, &route)).await,
        }
    }

    /// A source that went a moment ago is refused (EINVAL): then the route is made without one, and corrected when
    /// the change of addresses has been heard of.
    async fn add_route(&self, table: Mark, route: TableRoute, flag: u16) -> io::Result<()> {
        let message = message::route(table, &route);
        match self.new_route(message, flag).await {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && route.source.is_some() => {
                let without = TableRoute { source: None, ..route };
                self.new_route(message::route(table, &without), flag).await
            }
            result => result,
        }
    }

    /// The crate's own request for adding cannot append.
    async fn new_route(&self, message: RouteMessage, flag: u16) -> io::Result<()> {
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewRoute(message));
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | flag;
        let mut handle = self.handle.clone();
        let mut answers = handle.request(request).map_err(|error| cause(&error))?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                match error.to_io() {
                    error if error.raw_os_error() == Some(libc::EEXIST) => {}
                    error => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Removes a route that was found.
    pub(super) async fn remove_found_route(&self, found: FoundRoute) -> io::Result<()> {
        let message = found.route.map_or(found.message, |route| message::route(found.table, &route));
        self.delete_route(message).await
    }

    /// Has the kernel ask for the link-layer address of `neighbour`, as if there were a packet for it.
    pub(super) async fn ask(&self, ifindex: Ifindex, neighbour: Ipv4Addr) -> io::Result<()> {
        let request = self.handle.neighbours().add(ifindex, IpAddr::V4(neighbour)).replace();
        let request = request.state(NeighbourState::None).flags(NeighbourFlags::Use);
        request.execute().await.map_err(|error| cause(&error))
    }

    async fn delete_route(&self, message: RouteMessage) -> io::Result<()> {
        match self.handle.route().del(message).execute().await.map_err(|error| cause(&error)) {
            Err(error) if is_absent(&error) => Ok(()),
            result => result,
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// What the kernel said.
fn cause(error: &rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

/// What is not there: a route, a rule, a table, or a family that this kernel does not have.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ESRCH | libc::ENODEV | libc::EOPNOTSUPP | libc::EAFNOSUPPORT)
    )
}
