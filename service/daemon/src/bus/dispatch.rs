//! From a message to the method that it calls.

use super::authority::Credentials;
use super::call::{Call, Client};
use super::clients::Known;
use super::error::{BusError, Name, shown};
use super::lent::Lent;
use super::managed_objects::ManagedObjects;
use super::path::{self, Node, Target};
use super::text::Text;
use super::wire::{Fields, Raw};
use super::{Bus, Peers, introspect, properties};
use mif_core::broadcast::ObjectId;
use zbus::Message;
use zbus::message::Type;

pub(super) const PEER: &str = "org.freedesktop.DBus.Peer";
pub(super) const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const BUS: &str = "org.freedesktop.DBus";
/// No message is larger than this, in bytes: the bus would close the connection at 32 MiB.
pub(super) const LARGEST_MESSAGE: usize = 24 << 20;

/// What a method gives: a reply, or none because the caller wants none or will have it later.
pub(super) type Answered = Result<Option<Message>, BusError>;

impl Bus {
    pub(super) fn handle_message(&mut self, message: Message) {
        self.note_received(&message);
        if message.data().fds().is_empty() {
            self.take_in(message);
        } else {
            self.take_in_descriptors(message);
        }
    }

    /// The next call, of the client whose turn it is. One at a time, so that the replies to a client's many calls
    /// are sent in between and do not pile up to its limit.
    pub(super) fn handle_next_call(&mut self) {
        if let Some((_, call)) = self.calls.pop() {
            self.handle_call(call);
        }
    }

    /// Has a call wait for its turn.
    fn queue(&mut self, call: Call) {
        let (client, weight) = (call.client(), call.weight());
        if let Err(call) = self.calls.push(&client, call, weight) {
            let refusal = BusError::new(Name::LimitsExceeded, "too many calls at once; wait for replies");
            self.answer(&call, Err(refusal));
        }
    }

    fn take_in(&mut self, message: Message) {
        match message.message_type() {
            Type::MethodCall => self.queue(Call::new(message)),
            Type::Signal => self.handle_signal(&message),
            // Replies to the calls of our tasks went to whoever waits for them; they say nothing here.
            Type::MethodReturn => self.handle_answer(&message),
            Type::Error => self.handle_error(&message),
        }
    }

    /// One method takes a file descriptor. Whatever else has some: they are closed elsewhere.
    fn take_in_descriptors(&mut self, message: Message) {
        if message.message_type() != Type::MethodCall {
            drop(Lent::new(message));
            return;
        }
        let brought = message.data().fds().len();
        match Call::with_descriptors(message) {
            Ok(call) if call.member() == "BindSocket" && brought == 1 => self.queue(call),
            Ok(call) if call.member() == "BindSocket" => {
                let refusal =
                    BusError::invalid(format!("BindSocket takes one file descriptor, not {brought}"));
                self.answer(&call, Err(refusal));
            }
            Ok(call) => {
                let refusal = BusError::invalid(format!("{} takes no file descriptors", call.member()));
                self.answer(&call, Err(refusal));
            }
            Err(error) => tracing::debug!(%error, "a call with file descriptors cannot be answered"),
        }
    }

    fn handle_call(&mut self, call: Call) {
        let Some(call) = self.admitted(call) else { return };
        let path = call.path();
        match path::parse(&path) {
            Target::Subscriber(sender, token) => self.call_subscriber(call, sender, token),
            // Of no object (D-Bus specification, org.freedesktop.DBus.Peer).
            _ if call.interface().as_deref() == Some(PEER) && is_peer_method(&call.member()) => {
                let answered = call_peer(&call, &call.member());
                self.answer(&call, answered);
            }
            Target::Object(object) => self.call_object(call, object),
            Target::Node(node) => {
                let answered = self.call_node(&call, node);
                self.answer(&call, answered);
            }
            Target::Nothing => self.answer(&call, Err(unknown_object(&path))),
        }
    }

    /// Gives the call back unless its caller is not served at all, or not known yet where that matters.
    fn admitted(&mut self, call: Call) -> Option<Call> {
        if !matches!(self.peers, Peers::OwnUser) {
            return Some(call);
        }
        let (call, credentials) = self.introduced(call)?;
        let own = nix::unistd::getuid().as_raw();
        if credentials.uid == own {
            return Some(call);
        }
        let message = format!(
            "this service was started with --session and serves user {own} only, not user {}",
            credentials.uid
        );
        self.answer(&call, Err(BusError::new(Name::AccessDenied, message)));
        None
    }

    /// The bus tells that a unique name is no more.
    fn handle_signal(&mut self, message: &Message) {
        let header = message.header();
        let from_bus = header.sender().is_some_and(|sender| sender.as_str() == BUS);
        let owner_changed = header.member().is_some_and(|member| member.as_str() == "NameOwnerChanged");
        if !from_bus || !owner_changed {
            return;
        }
        let body = message.body();
        if let Ok((name, _, "")) = body.deserialize::<(&str, &str, &str)>()
            && name.starts_with(':')
        {
            self.forget_client(name);
        }
    }

    pub(super) fn handle_introduction(&mut self, client: &Client, credentials: zbus::Result<Credentials>) {
        match credentials {
            Ok(credentials) => {
                self.clients.introduce(client, credentials);
                self.calls.release(client);
            }
            Err(error) => {
                tracing::debug!(%client, %error, "the bus does not tell who a client is");
                let refusal = BusError::new(Name::AccessDenied, "the bus does not tell who you are");
                self.clients.forget(client);
                for call in self.calls.forget(client) {
                    self.answer(&call, Err(refusal.clone()));
                }
            }
        }
    }

    /// Gives the call back when it is known who its client is; else it waits, and what its client calls behind it,
    /// until the bus has told.
    pub(super) fn introduced(&mut self, call: Call) -> Option<(Call, std::sync::Arc<Credentials>)> {
        let client: Client = call.client();
        let ask = match self.clients.known(&client) {
            Known::Yes(credentials) => return Some((call, credentials)),
            Known::Asked => false,
            Known::No => true,
        };
        let weight = call.weight();
        self.calls.hold(&client, call, weight);
        if ask {
            self.clients.ask(&client);
            self.ask_who_is(&client);
        }
        None
    }

    fn call_object(&mut self, call: Call, object: ObjectId) {
        let there = match object {
            ObjectId::Root => true,
            ObjectId::Interface(serial) => self.snapshot.interface(serial).is_some(),
            ObjectId::Pvd(serial) => self.snapshot.pvd(serial).is_some(),
        };
        if !there {
            self.answer(&call, Err(unknown_object(&call.path())));
            return;
        }
        let (interface, member) = (call.interface(), call.member());
        match (interface.as_deref(), object) {
            (Some(properties::MANAGER), ObjectId::Root) => self.call_manager(call, &member),
            (Some(properties::HIGH_LEVEL), ObjectId::Root) => self.call_high_level(call, &member),
            (Some(properties::PVD), ObjectId::Pvd(serial)) => self.call_pvd(call, serial, &member),
            (Some(properties::INTERFACE), ObjectId::Interface(_)) => {
                self.answer(&call, Err(unknown_method(properties::INTERFACE, &member)));
            }
            (None, ObjectId::Root) if Self::is_manager_method(&member) => self.call_manager(call, &member),
            (None, ObjectId::Root) if Self::is_high_level_method(&member) => {
                self.call_high_level(call, &member);
            }
            (None, ObjectId::Pvd(serial)) if Self::is_pvd_method(&member) => {
                self.call_pvd(call, serial, &member);
            }
            (interface, _) => {
                let answered = self.call_standard(&call, object, interface, &member);
                self.answer(&call, answered);
            }
        }
    }

    /// The interfaces that every object has, and the root's ObjectManager.
    fn call_standard(
        &mut self,
        call: &Call,
        object: ObjectId,
        interface: Option<&str>,
        member: &str,
    ) -> Answered {
        match (interface, member) {
            (Some(PROPERTIES) | None, "Get") => {
                let (wanted, property): (Text, Text) = call.arguments("ss")?;
                let fields = self.properties_of(object, &wanted)?;
                let value = fields.get(&*property).ok_or_else(|| unknown_property(&wanted, &property))?;
                call.reply(&(value,))
            }
            (Some(PROPERTIES) | None, "GetAll") => {
                let (wanted,): (Text,) = call.arguments("s")?;
                let fields = self.properties_of(object, &wanted)?;
                call.reply(&(fields,))
            }
            (Some(PROPERTIES) | None, "Set") => {
                let (wanted, property, _): (Text, Text, zbus::OwnedVariant) = call.arguments("ssv")?;
                let fields = self.properties_of(object, &wanted)?;
                if !fields.contains_key(&*property) {
                    return Err(unknown_property(&wanted, &property));
                }
                Err(BusError::new(Name::PropertyReadOnly, format!("{property} can be read only")))
            }
            (Some(INTROSPECTABLE) | None, "Introspect") => {
                call.no_arguments()?;
                call.reply(&(introspect::object(object, &self.snapshot),))
            }
            (Some(OBJECT_MANAGER) | None, "GetManagedObjects") if object == ObjectId::Root => {
                call.no_arguments()?;
                self.get_managed_objects(call)
            }
            (None, _) if is_peer_method(member) => call_peer(call, member),
            (Some(interface), _) => {
                let own = properties::interface_name(object);
                let standard = [PROPERTIES, INTROSPECTABLE, PEER, own].contains(&interface)
                    || (interface == OBJECT_MANAGER && object == ObjectId::Root);
                Err(if standard { unknown_method(interface, member) } else { unknown_interface(interface) })
            }
            (None, _) => Err(unknown_method("any interface here", member)),
        }
    }

    fn properties_of(&self, object: ObjectId, wanted: &str) -> Result<Fields, BusError> {
        let own = properties::interface_name(object);
        if wanted == own || wanted.is_empty() {
            let fields = properties::all(object, &self.snapshot, &self.constants);
            return fields.ok_or_else(|| unknown_object(path::of(object).as_str()));
        }
        let without_properties = [PROPERTIES, INTROSPECTABLE, PEER].contains(&wanted)
            || ([OBJECT_MANAGER, properties::HIGH_LEVEL].contains(&wanted) && object == ObjectId::Root);
        if without_properties { Ok(Fields::new()) } else { Err(unknown_interface(wanted)) }
    }

    /// The whole tree in one reply; serialized once for each state, however many ask.
    fn get_managed_objects(&mut self, call: &Call) -> Answered {
        if let Some(body) = &self.managed_objects {
            let signature = ManagedObjects::signature_text();
            return call.reply(&Raw { signature: &signature, bytes: body });
        }
        let Some(reply) = call.reply(&(ManagedObjects(&self.snapshot),))? else { return Ok(None) };
        if reply.data().len() > LARGEST_MESSAGE {
            return Err(BusError::new(
                Name::LimitsExceeded,
                "there are too many objects for one message; walk the tree by introspection instead",
            ));
        }
        self.managed_objects = Some(reply.body().data().bytes().to_vec());
        Ok(Some(reply))
    }

    fn call_node(&self, call: &Call, node: Node) -> Answered {
        match (call.interface().as_deref(), call.member().as_str()) {
            (Some(INTROSPECTABLE) | None, "Introspect") => {
                call.no_arguments()?;
                call.reply(&(introspect::node(node, &self.snapshot),))
            }
            (None, member) if is_peer_method(member) => call_peer(call, member),
            (Some(interface @ (INTROSPECTABLE | PEER)), member) => Err(unknown_method(interface, member)),
            (Some(_) | None, _) => Err(unknown_object(&call.path())),
        }
    }
}

fn is_peer_method(member: &str) -> bool {
    matches!(member, "Ping" | "GetMachineId")
}

pub(super) fn call_peer(call: &Call, member: &str) -> Answered {
    call.no_arguments()?;
    if member == "Ping" {
        return call.reply(&());
    }
    let id = std::fs::read_to_string("/etc/machine-id")
        .or_else(|_| std::fs::read_to_string("/var/lib/dbus/machine-id"))
        .map_err(|error| BusError::new(Name::Failed, format!("this machine has no machine-id: {error}")))?;
    call.reply(&(id.trim(),))
}

pub(super) fn unknown_object(path: &str) -> BusError {
    let path = shown(path);
    BusError::new(Name::UnknownObject, format!("there is no object {path} (any more)"))
}

pub(super) fn unknown_method(interface: &str, member: &str) -> BusError {
    BusError::new(Name::UnknownMethod, format!("{interface} has no method {member}"))
}

pub(super) fn unknown_interface(interface: &str) -> BusError {
    let interface = shown(interface);
    BusError::new(Name::UnknownInterface, format!("this object has no interface {interface}"))
}

pub(super) fn unknown_property(interface: &str, property: &str) -> BusError {
    let property = shown(property);
    BusError::new(Name::UnknownProperty, format!("{interface} has no property {property}"))
}
