//! The sockets of one translation that ask the neighbours of a link, and which datagrams are worth a look.

use crate::socket::{Datagram, GroupSocket, Scope};
use mif_core::plan::Group;
use std::io;
use std::task::Poll;

/// The datagrams that one translation looks at: a host that floods is not listened to for ever.
const MOST_DATAGRAMS: usize = 512;
/// The longest message of either protocol (RFC 6762 17).
const LONGEST: usize = 9_000;

/// One socket a group.
pub(super) struct Exchange<'a> {
    sockets: Vec<(&'a Group, GroupSocket)>,
    buffer: Vec<u8>,
    looked_at: usize,
}

/// A datagram of a neighbour.
pub(super) struct Heard<'a> {
    pub(super) datagram: Datagram,
    pub(super) bytes: &'a [u8],
    /// The group that it answers for.
    pub(super) group: &'a Group,
}

impl<'a> Exchange<'a> {
    /// Sockets for `groups`, as many as can be made.
    ///
    /// # Errors
    /// None could be made; why not, for the last.
    pub(super) fn open(scope: Scope, groups: &'a [Group]) -> io::Result<Self> {
        let mut failure = None;
        let mut sockets = Vec::new();
        for group in groups {
            match GroupSocket::new(scope, group.address, group.source) {
                Ok(socket) => sockets.push((group, socket)),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self { sockets, buffer: vec![0; LONGEST], looked_at: 0 }),
        }
    }

    /// Sends `packet` to every group.
    ///
    /// # Errors
    /// It could be sent to none; why not, for the last.
    pub(super) async fn send(&self, packet: &[u8]) -> io::Result<()> {
        let mut outcome = Err(io::ErrorKind::NotConnected.into());
        for (_, socket) in &self.sockets {
            let sent = socket.send(packet).await;
            if sent.is_ok() || outcome.is_err() {
                outcome = sent;
            }
        }
        outcome
    }

    /// The next datagram from the protocol's port of a neighbour; others are left out. Cancel safe.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) async fn receive(&mut self) -> io::Result<Heard<'_>> {
        loop {
            if self.looked_at == MOST_DATAGRAMS {
                tracing::warn!(
                    limit = MOST_DATAGRAMS,
                    "a link floods a translation with answers: the rest is ignored"
                );
                self.looked_at += 1;
            }
            if self.looked_at > MOST_DATAGRAMS {
                return std::future::pending().await;
            }
            let (datagram, index) = self.next().await?;
            self.looked_at += 1;
            let (group, socket) = &self.sockets[index];
            if datagram.from.port() == socket.group().port() && group.is_neighbour(datagram.from.ip()) {
                let bytes = &self.buffer[..datagram.length];
                return Ok(Heard { datagram, bytes, group });
            }
            tracing::debug!(from = %datagram.from, "an answer from elsewhere is ignored");
        }
    }

    async fn next(&mut self) -> io::Result<(Datagram, usize)> {
        let Self { sockets, buffer, .. } = self;
        std::future::poll_fn(|task| {
            for (index, (_, socket)) in sockets.iter().enumerate() {
                if let Poll::Ready(received) = socket.poll_receive(task, buffer) {
                    return Poll::Ready(received.map(|datagram| (datagram, index)));
                }
            }
            Poll::Pending
        })
        .await
    }
}
