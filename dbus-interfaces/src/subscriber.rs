//! A subscriber: the draft's messages (section 3.5) as calls and a stream.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zbus::names::OwnedUniqueName;
use zbus::{Connection, MatchRule, MessageStream, ObjectPath, OwnedObjectPath, OwnedVariant};

use crate::error::{Error, Result};
use crate::message::Message;
use crate::names::{BUS_NAME, MANAGER_INTERFACE, ROOT_PATH, SUBSCRIBER_INTERFACE};
use crate::proxy::SubscriberProxy;
use crate::request::{ConnectRequest, TranslateOptions};
use crate::wire::{ClosedReason, SubscriberOptions};

/// How many messages wait for a program that does not read, before the stream is given up
/// ([`ClosedReason::Unread`]). A listing of every object that the service may have fits in.
const QUEUE: usize = 65_536;

const PEER_INTERFACE: &str = "org.freedesktop.DBus.Peer";

/// The calls of a subscriber. What they bring about arrives in its [`Messages`].
///
/// The subscriber ends with [`Subscriber::close`] or with the bus connection.
#[derive(Debug, Clone)]
pub struct Subscriber {
    proxy: SubscriberProxy<'static>,
}

/// The messages of a subscriber, in the order of the contract's rules O1 to O8. It ends after a
/// [`Message::Closed`], or with [`Error::Disconnected`] when the bus is lost.
///
/// A task reads the bus connection, so that replies to other calls get through whether or not this stream
/// is polled.
#[derive(Debug)]
pub struct Messages {
    queue: mpsc::Receiver<Result<Message>>,
    reader: JoinHandle<()>,
}

impl Subscriber {
    /// Makes a subscriber. `token` tells the subscribers of one connection apart: 1 to 64 letters, digits
    /// and underscores.
    ///
    /// # Errors
    /// [`Error::Reply`]: the service is not there, the token is in use or not valid, a limit is exceeded.
    pub async fn create(connection: &Connection, token: &str) -> Result<(Self, Messages)> {
        let (reader, incoming) = Reader::open(connection, token).await?;
        let path = reader.path().clone();
        let (sender, queue) = mpsc::channel(QUEUE);
        let reader = tokio::spawn(reader.run(incoming, sender));
        let proxy = SubscriberProxy::builder(connection)
            .path(path)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?;
        Ok((Self { proxy }, Messages { queue, reader }))
    }

    /// The subscriber's object.
    #[must_use]
    pub fn path(&self) -> &ObjectPath<'_> {
        self.proxy.inner().path()
    }

    /// Draft 3.5.1: list the interfaces and tell of changes. Returns how many messages the listing has;
    /// they are in the stream before anything that happens later.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn announce_interfaces(&self) -> Result<u32> {
        Ok(self.proxy.announce_interfaces().await?)
    }

    /// Draft 3.5.2.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn stop_announcing_interfaces(&self) -> Result<()> {
        Ok(self.proxy.stop_announcing_interfaces().await?)
    }

    /// Draft 3.5.5: list the PvDs of an interface and tell of changes.
    ///
    /// # Errors
    /// [`Error::Reply`], such as NoSuchInterface.
    pub async fn announce_provisioning_domains(&self, interface: &ObjectPath<'_>) -> Result<u32> {
        Ok(self.proxy.announce_provisioning_domains(interface).await?)
    }

    /// Draft 3.5.6.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn stop_announcing_provisioning_domains(&self, interface: &ObjectPath<'_>) -> Result<()> {
        Ok(self.proxy.stop_announcing_provisioning_domains(interface).await?)
    }

    /// Draft 3.5.9: list the configuration elements of a PvD and tell of changes.
    ///
    /// # Errors
    /// [`Error::Reply`], such as NoSuchPvd or PvdGone.
    pub async fn announce_configuration_elements(&self, pvd: &ObjectPath<'_>) -> Result<u32> {
        Ok(self.proxy.announce_configuration_elements(pvd).await?)
    }

    /// Not in the draft.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn stop_announcing_configuration_elements(&self, pvd: &ObjectPath<'_>) -> Result<()> {
        Ok(self.proxy.stop_announcing_configuration_elements(pvd).await?)
    }

    /// Draft 3.5.12: list the addresses of a PvD and tell of changes.
    ///
    /// # Errors
    /// [`Error::Reply`], such as NoSuchPvd or PvdGone.
    pub async fn announce_addresses(&self, pvd: &ObjectPath<'_>) -> Result<u32> {
        Ok(self.proxy.announce_addresses(pvd).await?)
    }

    /// Not in the draft.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn stop_announcing_addresses(&self, pvd: &ObjectPath<'_>) -> Result<()> {
        Ok(self.proxy.stop_announcing_addresses(pvd).await?)
    }

    /// Draft 3.5.15.
    ///
    /// # Errors
    /// [`Error::Reply`], such as NoConfigurationData.
    pub async fn get_configuration_data(
        &self,
        pvd: &ObjectPath<'_>,
        element: &str,
        identifier: &str,
    ) -> Result<OwnedVariant> {
        Ok(self.proxy.get_configuration_data(pvd, element, identifier).await?)
    }

    /// Draft 3.5.16: NameTranslation messages follow, then one TranslationFinished. `id` is the caller's,
    /// unique among the outstanding translations of this subscriber.
    ///
    /// # Errors
    /// [`Error::Reply`], such as IdInUse or NoSuchPvd.
    pub async fn translate_name(
        &self,
        id: u32,
        pvd: &ObjectPath<'_>,
        name: &str,
        options: &TranslateOptions,
    ) -> Result<()> {
        Ok(self.proxy.translate_name(id, pvd, name, &options.to_wire()).await?)
    }

    /// Draft 3.5.17.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn stop_translating_name(&self, id: u32) -> Result<()> {
        Ok(self.proxy.stop_translating_name(id).await?)
    }

    /// Draft 3.5.19, and 3.5.20 when the request names a source: Connected or NotConnected follows. `id` is
    /// the caller's, unique among the outstanding connections of this subscriber.
    ///
    /// # Errors
    /// [`Error::Reply`], such as IdInUse or NoSuchPvd.
    pub async fn connect_to_address(
        &self,
        id: u32,
        pvd: &ObjectPath<'_>,
        request: &ConnectRequest,
    ) -> Result<()> {
        let (proxy, flags) = (self.proxy.inner(), request.flags());
        let address = request.address.to_string();
        let mut options = request.to_wire();
        // Only `call_with_flags` passes on that somebody may be asked.
        let accepted: Option<()> = match options.source.take() {
            None => {
                let body = (id, pvd, address, request.port, options);
                proxy.call_with_flags("ConnectToAddress", flags, &body).await?
            }
            Some(source) => {
                let body = (id, pvd, source, address, request.port, options);
                proxy.call_with_flags("ConnectToAddressFromAddress", flags, &body).await?
            }
        };
        accepted.ok_or_else(|| Error::unexpected("reply of ConnectToAddress", "there is none"))
    }

    /// The socket of a connection that is Connected (the token of draft 3.5.21).
    ///
    /// # Errors
    /// [`Error::Reply`] NoSuchId when it is not Connected, not yet or not any more.
    pub async fn take_connection(&self, id: u32) -> Result<OwnedFd> {
        Ok(self.proxy.take_connection(id).await?.into())
    }

    /// Gives up a connection; nothing more comes for it.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn cancel_connection(&self, id: u32) -> Result<()> {
        Ok(self.proxy.cancel_connection(id).await?)
    }

    /// Ends the subscriber; its stream ends with [`Message::Closed`].
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub async fn close(&self) -> Result<()> {
        Ok(self.proxy.close().await?)
    }
}

impl Messages {
    /// The next message if one is here: GET MESSAGE of draft 3.4.3.
    pub fn get(&mut self) -> Option<Result<Message>> {
        self.queue.try_recv().ok()
    }
}

impl Stream for Messages {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_recv(context)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Everything that arrives on the connection, in order. `None` in it is not an end, but of no concern.
pub(crate) type Incoming = BoxStream<'static, Option<zbus::Result<zbus::Message>>>;

/// Has the bus tell when the service goes.
async fn service_goes(connection: &Connection) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .add_arg(BUS_NAME)
        .build();
    MessageStream::for_match_rule(rule?, connection, None).await
}

/// What arrives before there is somebody to read it. zbus reads a connection no further than the slowest of its streams
/// has got, so whoever waits for an answer on it with a stream in hand has to read on: the signals of another
/// subscriber of the connection may come before the answer, as many as they like.
struct Early {
    incoming: Incoming,
    kept: VecDeque<zbus::Result<zbus::Message>>,
}

impl Early {
    /// Reads until there is an answer. Of what it reads, the latest may be for the new subscriber.
    async fn while_waiting_for<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        loop {
            let item = tokio::select! {
                biased;
                answer = &mut answer => return answer,
                Some(item) = self.incoming.next() => item,
            };
            let Some(message) = item else { continue };
            if message.as_ref().is_ok_and(|it| it.message_type() != zbus::message::Type::Signal) {
                continue;
            }
            if self.kept.len() == QUEUE {
                self.kept.pop_front();
            }
            self.kept.push_back(message);
        }
    }

    fn and_the_rest(self) -> Incoming {
        stream::iter(self.kept.into_iter().map(Some)).chain(self.incoming).boxed()
    }
}

/// Reads the connection for one subscriber.
pub(crate) struct Reader {
    connection: Connection,
    path: OwnedObjectPath,
    /// The unique name of the service that made the subscriber; `None` on a connection without a bus.
    service: Option<OwnedUniqueName>,
}

impl Reader {
    /// Makes a subscriber. What comes for it from the first moment on is in the stream, which has to be read all the time.
    ///
    /// # Errors
    /// The service's, or the bus is lost.
    pub(crate) async fn open(connection: &Connection, token: &str) -> Result<(Self, Incoming)> {
        // The unfiltered stream carries the unicast signals. It begins before the subscriber exists.
        let everything = MessageStream::from(connection).map(Some).chain(stream::once(async {
            let gone = std::io::ErrorKind::BrokenPipe.into();
            Some(Err(zbus::Error::InputOutput(std::sync::Arc::new(gone))))
        }));
        let mut early = Early { incoming: everything.boxed(), kept: VecDeque::new() };
        if connection.is_bus() {
            let rule = early.while_waiting_for(service_goes(connection)).await?;
            // Its own copies of the signals are of no concern, but it has to be read like the other.
            early.incoming = stream::select(early.incoming, rule.map(|_| None)).boxed();
        }
        let (service, manager) = (Some(BUS_NAME), Some(MANAGER_INTERFACE));
        let arguments = (token, SubscriberOptions {});
        let call = connection.call_method(service, ROOT_PATH, manager, "CreateSubscriber", &arguments);
        let reply = early.while_waiting_for(call).await?;
        let path = reply.body().deserialize();
        let path = path.map_err(|error| Error::unexpected("reply of CreateSubscriber", error))?;
        let service = reply.header().sender().map(|sender| OwnedUniqueName::from(sender.to_owned()));
        Ok((Self { connection: connection.clone(), path, service }, early.and_the_rest()))
    }

    /// The subscriber's object.
    pub(crate) fn path(&self) -> &OwnedObjectPath {
        &self.path
    }

    async fn run(self, mut incoming: Incoming, queue: mpsc::Sender<Result<Message>>) {
        while let Some(message) = incoming.next().await {
            let Some(message) = message else { continue };
            if let Ok(message) = &message {
                self.answer(message).await;
            }
            let Some(item) = message.map_err(Error::from).and_then(|message| self.read(&message)).transpose()
            else {
                continue;
            };
            let last = matches!(&item, Ok(Message::Closed { .. }) | Err(Error::Disconnected));
            match queue.try_send(item) {
                Ok(()) if last => return,
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    // Wait for room for one last word, and say nothing more; meanwhile the connection goes on.
                    drop(incoming);
                    drop(queue.send(Ok(Message::Closed { reason: ClosedReason::Unread })).await);
                    return;
                }
            }
        }
    }

    /// Where the bus tells nobody of signals that it drops, the service asks now and then whether they are read, by
    /// calling the subscriber.
    pub(crate) async fn answer(&self, message: &zbus::Message) {
        if message.message_type() != zbus::message::Type::MethodCall {
            return;
        }
        let header = message.header();
        let sender = header.sender().map(|sender| sender.as_str());
        let ours = sender == self.service.as_ref().map(|name| name.as_str())
            && header.path().is_some_and(|path| path.as_str() == self.path.as_str())
            && header.interface().is_some_and(|interface| interface.as_str() == PEER_INTERFACE)
            && header.member().is_some_and(|member| member.as_str() == "Ping");
        if ours {
            // Who cannot be answered has gone.
            let _ = self.connection.reply(&header, &()).await;
        }
    }

    /// What a message means to this subscriber, if it means anything.
    pub(crate) fn read(&self, message: &zbus::Message) -> Result<Option<Message>> {
        if message.message_type() != zbus::message::Type::Signal {
            return Ok(None);
        }
        let header = message.header();
        let interface = header.interface().map(|interface| interface.as_str());
        if interface == Some("org.freedesktop.DBus")
            && header.member().map(|member| member.as_str()) == Some("NameOwnerChanged")
            && header.sender().map(|sender| sender.as_str()) == Some("org.freedesktop.DBus")
        {
            return Ok(self
                .service_left(message)
                .then_some(Message::Closed { reason: ClosedReason::ServiceGone }));
        }
        // Anybody on the bus can send us a signal with this path: only the service's count.
        let ours = interface == Some(SUBSCRIBER_INTERFACE)
            && header.path().is_some_and(|path| path.as_str() == self.path.as_str())
            && header.sender().map(|sender| sender.as_str())
                == self.service.as_ref().map(|name| name.as_str());
        if ours { Message::decode(message).map(Some) } else { Ok(None) }
    }

    /// Whether this NameOwnerChanged says that the service that made the subscriber has given up its name.
    fn service_left(&self, signal: &zbus::Message) -> bool {
        let Ok((name, old, _new)) = signal.body().deserialize::<(String, String, String)>() else {
            return false;
        };
        name == BUS_NAME && Some(old.as_str()) == self.service.as_ref().map(|name| name.as_str())
    }
}
