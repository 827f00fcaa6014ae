//! The message face: the draft's messages (3.5) to and from a subscriber. Every reply goes through the
//! subscriber's lane, in the order of the calls (O1).

use super::call::{Call, Client};
use super::dispatch::{
    Answered, INTROSPECTABLE, PEER, PROPERTIES, call_peer, unknown_interface, unknown_method, unknown_object,
    unknown_property,
};
use super::error::{BusError, Name, shown};
use super::properties::{REQUESTS_PER_SUBSCRIBER, SUBSCRIBER};
use super::requests::{self, Origin, Waiting};
use super::state_face::{GivenOptions, options};
use super::text::Text;
use super::wire::Descriptor;
use super::work::{Owner, SubscriberKey};
use super::{Address, Bus, Entry, introspect, path};
use crate::clock;
use mif_core::announcement::{Announcement, CloseReason};
use mif_core::plan::{self, ConnectRequest, Refusal};
use mif_core::pvd::Serial;
use mif_core::subscription::{Outcome, Reasons, Subscriber, SubscriberRefusal, Topic, WorkKind, WorkNumber};
use mif_core::usage::Held;
use std::sync::Arc;
use zbus::OwnedObjectPath;

impl Bus {
    /// CreateSubscriber: the first entry of the new subscriber's lane (O1).
    pub(super) fn create_subscriber(&mut self, call: Call) {
        let Some((call, credentials)) = self.introduced(call) else { return };
        match self.try_create_subscriber(&call, credentials.uid) {
            Ok((key, reply)) => {
                if let Some(reply) = reply {
                    self.outbox.reply(key, reply);
                }
            }
            Err(error) => self.answer(&call, Err(error)),
        }
    }

    /// A call of a path below /org/ietf/Mif1Subscriber.
    pub(super) fn call_subscriber(&mut self, call: Call, sender: &str, token: &str) {
        let client = call.client();
        if path::sender_part(&client) != sender {
            let denied = BusError::new(Name::AccessDenied, "this subscriber belongs to another client");
            return self.answer(&call, Err(denied));
        }
        let key = self.clients.subscriber(&client, token).filter(|key| !self.is_overrun(*key));
        let Some(key) = key else {
            return self.answer(&call, Err(unknown_object(&call.path())));
        };
        if self.outbox.unanswered(key) >= REQUESTS_PER_SUBSCRIBER as usize {
            let message = format!(
                "{REQUESTS_PER_SUBSCRIBER} requests of this subscriber wait for their reply; read replies first"
            );
            return self.answer(&call, Err(BusError::new(Name::LimitsExceeded, message)));
        }
        let answered = self.serve(key, &call);
        match answered {
            Ok(Some(reply)) => self.outbox.reply(key, reply),
            Ok(None) => {}
            Err(error) => {
                if let Some(reply) = call.error(&error) {
                    self.outbox.reply(key, reply);
                }
            }
        }
    }

    /// Everything of a client that left the bus ends: subscribers, work, sockets.
    pub(super) fn forget_client(&mut self, client: &str) {
        let client: &Client = &Client::from(client);
        drop(self.calls.forget(client));
        self.unread.forget(client);
        for key in self.clients.forget(client) {
            if let Some(entry) = self.subscribers.remove(&key) {
                self.usage.release(Held::Subscriber, &entry.address.client, entry.uid);
            }
            self.forget_overrun(key);
            self.outbox.forget(key);
        }
        for number in self.works.of_client(client) {
            self.end_work(number);
        }
        let outbox = &mut self.outbox;
        self.closing.retain(|key, address| {
            let stays = address.client != *client;
            if !stays {
                outbox.forget(*key);
            }
            stays
        });
    }

    fn try_create_subscriber(
        &mut self,
        call: &Call,
        uid: u32,
    ) -> Result<(SubscriberKey, Option<zbus::Message>), BusError> {
        let (token, given): (Text, GivenOptions) = call.arguments("sa{sv}")?;
        options(given, &[])?;
        let token = String::from(token);
        check_token(&token)?;
        let client = call.client();
        if self.clients.subscriber(&client, &token).is_some() {
            return Err(BusError::new(
                Name::TokenInUse,
                format!(
                    "you have a subscriber of the token \"{token}\" already; choose another token or close it"
                ),
            ));
        }
        self.usage.acquire(Held::Subscriber, &client, uid)?;
        let path = path::subscriber(&client, &token);
        let reply = call.reply(&(&path,))?;
        let key = self.lane_of(&path);
        let machine = Subscriber::new(Reasons {
            pvd_gone: BusError::new(Name::PvdGone, "the provisioning domain is gone"),
            not_claimed: BusError::new(Name::NotClaimed, "the connected socket was not taken in 30 s"),
        });
        self.clients.add_subscriber(&client, token.clone(), key);
        self.subscribers.insert(key, Entry { machine, address: Address { client, path }, uid, token });
        Ok((key, reply))
    }

    /// A lane for a new subscriber: behind what a closed one of the same path still has to be sent (O1), else new.
    fn lane_of(&mut self, path: &zbus::ObjectPath<'_>) -> SubscriberKey {
        let closing = self.closing.iter().find(|(_, address)| address.path == *path).map(|(key, _)| *key);
        if let Some(key) = closing {
            self.closing.remove(&key);
            return key;
        }
        self.next_subscriber += 1;
        SubscriberKey(self.next_subscriber)
    }

    fn serve(&mut self, key: SubscriberKey, call: &Call) -> Answered {
        let member = call.member();
        match call.interface().as_deref() {
            Some(SUBSCRIBER) => self.serve_message(key, call, &member),
            None if !is_standard_method(&member) => self.serve_message(key, call, &member),
            Some(INTROSPECTABLE) | None if member == "Introspect" => {
                call.no_arguments()?;
                call.reply(&(introspect::subscriber(),))
            }
            Some(PEER) | None if matches!(member.as_str(), "Ping" | "GetMachineId") => {
                call_peer(call, &member)
            }
            // A subscriber has no properties.
            Some(PROPERTIES) | None if member == "GetAll" => {
                let (interface,): (Text,) = call.arguments("s")?;
                match &*interface {
                    "" | SUBSCRIBER | PROPERTIES | INTROSPECTABLE | PEER => {
                        call.reply(&(super::call::nothing(),))
                    }
                    _ => Err(unknown_interface(&interface)),
                }
            }
            Some(PROPERTIES) | None if member == "Get" => {
                let (interface, property): (Text, Text) = call.arguments("ss")?;
                Err(unknown_property(&interface, &property))
            }
            Some(PROPERTIES) | None if member == "Set" => {
                let (interface, property, _): (Text, Text, zbus::OwnedVariant) = call.arguments("ssv")?;
                Err(unknown_property(&interface, &property))
            }
            Some(interface @ (INTROSPECTABLE | PEER | PROPERTIES)) => Err(unknown_method(interface, &member)),
            Some(interface) => Err(unknown_interface(interface)),
            None => Err(unknown_method(SUBSCRIBER, &member)),
        }
    }

    fn serve_message(&mut self, key: SubscriberKey, call: &Call, member: &str) -> Answered {
        match member {
            "AnnounceInterfaces" => {
                call.no_arguments()?;
                self.announce(key, call, Topic::Interfaces)
            }
            "StopAnnouncingInterfaces" => {
                call.no_arguments()?;
                self.stop_announcing(key, call, Some(Topic::Interfaces))
            }
            "AnnounceProvisioningDomains" => {
                let topic = Topic::Pvds(interface_argument(call)?);
                self.announce(key, call, topic)
            }
            "StopAnnouncingProvisioningDomains" => {
                self.stop_announcing(key, call, interface_argument(call).ok().map(Topic::Pvds))
            }
            "AnnounceConfigurationElements" => {
                let topic = Topic::Elements(pvd_argument(call)?);
                self.announce(key, call, topic)
            }
            "StopAnnouncingConfigurationElements" => {
                self.stop_announcing(key, call, pvd_argument(call).ok().map(Topic::Elements))
            }
            "AnnounceAddresses" => {
                let topic = Topic::Addresses(pvd_argument(call)?);
                self.announce(key, call, topic)
            }
            "StopAnnouncingAddresses" => {
                self.stop_announcing(key, call, pvd_argument(call).ok().map(Topic::Addresses))
            }
            "GetConfigurationData" => self.get_data(call),
            "TranslateName" => self.translate_name(key, call),
            "StopTranslatingName" => {
                let (id,): (u32,) = call.arguments("u")?;
                self.stop_work(key, WorkKind::Translation, id);
                call.reply(&())
            }
            "ConnectToAddress" => {
                let (id, pvd, address, port, given): (u32, OwnedObjectPath, Text, u16, GivenOptions) =
                    call.arguments("uosqa{sv}")?;
                let request = requests::connect_request(address, None, port, given, Waiting::ForSignals)?;
                self.connect_to_address(key, call, Wanted { id, pvd: pvd.as_str() }, &request)
            }
            "ConnectToAddressFromAddress" => {
                let (id, pvd, source, address, port, given): (
                    u32,
                    OwnedObjectPath,
                    Text,
                    Text,
                    u16,
                    GivenOptions,
                ) = call.arguments("uossqa{sv}")?;
                let request =
                    requests::connect_request(address, Some(source), port, given, Waiting::ForSignals)?;
                self.connect_to_address(key, call, Wanted { id, pvd: pvd.as_str() }, &request)
            }
            "TakeConnection" => self.take_connection(key, call),
            "CancelConnection" => {
                let (id,): (u32,) = call.arguments("u")?;
                self.stop_work(key, WorkKind::Connection, id);
                call.reply(&())
            }
            "Close" => self.close(key, call),
            _ => Err(unknown_method(SUBSCRIBER, member)),
        }
    }

    /// O2: the current items, then the reply with their count, then changes as they occur.
    fn announce(&mut self, key: SubscriberKey, call: &Call, topic: Topic) -> Answered {
        if self.outbox.is_listing(key, topic) {
            return Err(BusError::new(
                Name::LimitsExceeded,
                "that listing is being sent already; wait for its reply",
            ));
        }
        let Some(entry) = self.subscribers.get_mut(&key) else { return Ok(None) };
        let listing = entry.machine.announce(topic, &self.snapshot)?;
        let reply = call.reply(&(listing.count(),))?;
        self.outbox.list(key, listing, reply);
        Ok(None)
    }

    /// Stopping what was never asked for, or is gone, is nothing.
    fn stop_announcing(&mut self, key: SubscriberKey, call: &Call, topic: Option<Topic>) -> Answered {
        if topic != Some(Topic::Interfaces) {
            let _: (OwnedObjectPath,) = call.arguments("o")?;
        }
        if let (Some(entry), Some(topic)) = (self.subscribers.get_mut(&key), topic) {
            entry.machine.stop_announcing(topic);
        }
        call.reply(&())
    }

    fn get_data(&self, call: &Call) -> Answered {
        let (pvd, element, identifier): (OwnedObjectPath, Text, Text) = call.arguments("oss")?;
        let serial = pvd_serial(&pvd)?;
        let Some(pvd) = self.snapshot.pvd(serial) else { return Err(self.missing_pvd(serial)) };
        call.reply(&(self.configuration_value(pvd, &element, &identifier)?,))
    }

    fn translate_name(&mut self, key: SubscriberKey, call: &Call) -> Answered {
        let (id, pvd, name, given): (u32, OwnedObjectPath, Text, GivenOptions) =
            call.arguments("uosa{sv}")?;
        let request = requests::translate_request(name, given, self.translator.systems())?;
        let serial = self.may_start(key, WorkKind::Translation, Wanted { id, pvd: pvd.as_str() })?;
        let plan = plan::translate(&self.snapshot, serial, &request, self.translator.encryption());
        let plan = at_once(plan)?;
        let Some(origin) = self.origin(key, call) else { return Ok(None) };
        let begun = match plan {
            Ok(plan) => match self.may_translate(&origin) {
                Ok(()) => self.start_translation(origin, plan)?,
                Err(error) => Begun::Failed(error),
            },
            Err(refusal) => Begun::Failed(refusal.into()),
        };
        self.accept(key, call, Accepted { kind: WorkKind::Translation, id, pvd: serial, begun })
    }

    fn connect_to_address(
        &mut self,
        key: SubscriberKey,
        call: &Call,
        wanted: Wanted<'_>,
        request: &ConnectRequest,
    ) -> Answered {
        let id = wanted.id;
        let serial = self.may_start(key, WorkKind::Connection, wanted)?;
        let way = at_once(self.way(serial, request))?;
        let Some(origin) = self.origin(key, call) else { return Ok(None) };
        let begun = match way {
            Ok(way) => match self.may_connect(&origin, call, serial, request) {
                Ok(permission) => self.start_connection(origin, serial, way, permission)?,
                Err(error) => Begun::Failed(error.after_acceptance()),
            },
            Err(refusal) => Begun::Failed(refusal.into()),
        };
        self.accept(key, call, Accepted { kind: WorkKind::Connection, id, pvd: serial, begun })
    }

    /// The reply first, then whatever becomes of the work.
    fn accept(&mut self, key: SubscriberKey, call: &Call, accepted: Accepted) -> Answered {
        let Accepted { kind, id, pvd, begun } = accepted;
        if let Some(reply) = call.reply(&())? {
            self.outbox.reply(key, reply);
        }
        let (number, failure) = match begun {
            Begun::Running(number) => (number, None),
            Begun::Failed(error) => (self.works.number(), Some(error)),
        };
        if let Some(entry) = self.subscribers.get_mut(&key) {
            entry.machine.start(kind, id, pvd, number);
        }
        if let Some(error) = failure {
            let outcome = match kind {
                WorkKind::Translation => Outcome::Translated(Err(error)),
                WorkKind::Connection => Outcome::NotConnected(error),
            };
            self.tell_outcome(clock::now(), key, number, outcome);
        }
        Ok(None)
    }

    fn take_connection(&mut self, key: SubscriberKey, call: &Call) -> Answered {
        let (id,): (u32,) = call.arguments("u")?;
        // Without a reply the socket could go nowhere.
        if !call.wants_reply() {
            return Ok(None);
        }
        let Some(entry) = self.subscribers.get_mut(&key) else { return Ok(None) };
        let taken = entry.machine.take(id)?;
        let socket = self.end_work(taken.number).and_then(|work| work.socket);
        let socket = socket.ok_or(SubscriberRefusal::NoSuchId(id))?;
        let reply = call.reply_with(&(Descriptor(0),), vec![socket])?;
        if let Some(reply) = &reply {
            self.remember_socket(reply, key, id, call);
        }
        Ok(reply)
    }

    fn stop_work(&mut self, key: SubscriberKey, kind: WorkKind, id: u32) {
        let stopped = self.subscribers.get_mut(&key).and_then(|entry| entry.machine.stop(kind, id));
        if let Some(ended) = stopped {
            self.end_work(ended.number);
        }
    }

    /// Pending work ends silently; Closed(requested) precedes the reply.
    fn close(&mut self, key: SubscriberKey, call: &Call) -> Answered {
        call.no_arguments()?;
        let Some(mut entry) = self.subscribers.remove(&key) else { return Ok(None) };
        for ended in entry.machine.close() {
            self.end_work(ended.number);
        }
        self.usage.release(Held::Subscriber, &entry.address.client, entry.uid);
        self.clients.remove_subscriber(&entry.address.client, &entry.token);
        self.outbox.announce(key, Announcement::Closed(CloseReason::Requested));
        self.closing.insert(key, entry.address);
        call.reply(&())
    }

    fn may_start(&self, key: SubscriberKey, kind: WorkKind, wanted: Wanted<'_>) -> Result<Serial, BusError> {
        let serial = path::parse_pvd(wanted.pvd).ok_or_else(|| not_a_pvd(wanted.pvd))?;
        if let Some(entry) = self.subscribers.get(&key) {
            entry.machine.may_start(kind, wanted.id, serial, &self.snapshot)?;
        }
        Ok(serial)
    }

    fn origin(&self, key: SubscriberKey, call: &Call) -> Option<Origin> {
        let client = call.client();
        match self.clients.known(&client) {
            super::clients::Known::Yes(credentials) => {
                Some(Origin { owner: Owner::Subscriber(key), client, credentials: Arc::clone(&credentials) })
            }
            // A client with a subscriber has been introduced.
            super::clients::Known::Asked | super::clients::Known::No => None,
        }
    }

    fn missing_pvd(&self, serial: Serial) -> BusError {
        if self.snapshot.had_pvd(serial) {
            SubscriberRefusal::PvdGone(serial).into()
        } else {
            SubscriberRefusal::NoSuchPvd(serial).into()
        }
    }
}

/// Work that a subscriber wants done.
struct Wanted<'a> {
    id: u32,
    pvd: &'a str,
}

/// Work that was accepted.
struct Accepted {
    kind: WorkKind,
    id: u32,
    pvd: Serial,
    begun: Begun,
}

/// How accepted work began.
pub(super) enum Begun {
    /// A task carries it out.
    Running(WorkNumber),
    /// It failed before anything was sent.
    Failed(BusError),
}

/// Wrong arguments are refused at once; every other refusal comes as the end of accepted work.
fn at_once<T>(planned: Result<T, Refusal>) -> Result<Result<T, Refusal>, BusError> {
    match planned {
        Err(refusal @ (Refusal::InvalidArgs(_) | Refusal::LimitsExceeded(_))) => Err(refusal.into()),
        planned => Ok(planned),
    }
}

fn check_token(token: &str) -> Result<(), BusError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if (1..=64).contains(&token.len()) && token.bytes().all(good) {
        return Ok(());
    }
    let token = shown(token);
    Err(BusError::invalid(format!(
        "token \"{token}\" is not 1 to 64 letters, digits and underscores (ASCII)"
    )))
}

fn is_standard_method(member: &str) -> bool {
    matches!(member, "Introspect" | "Ping" | "GetMachineId" | "Get" | "GetAll" | "Set")
}

fn interface_argument(call: &Call) -> Result<Serial, BusError> {
    let (path,): (OwnedObjectPath,) = call.arguments("o")?;
    path::parse_interface(path.as_str()).ok_or_else(|| {
        let path = shown(&path);
        BusError::new(
            Name::NoSuchInterface,
            format!("{path} is not the path of an interface of this service"),
        )
    })
}

fn pvd_argument(call: &Call) -> Result<Serial, BusError> {
    let (path,): (OwnedObjectPath,) = call.arguments("o")?;
    pvd_serial(&path)
}

fn pvd_serial(path: &OwnedObjectPath) -> Result<Serial, BusError> {
    path::parse_pvd(path.as_str()).ok_or_else(|| not_a_pvd(path.as_str()))
}

fn not_a_pvd(path: &str) -> BusError {
    let path = shown(path);
    BusError::new(Name::NoSuchPvd, format!("{path} is not the path of a provisioning domain of this service"))
}
