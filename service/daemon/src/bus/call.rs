//! One method call: its arguments checked, its reply built.

use super::error::{BusError, Name, shown};
use super::lent::{self, Lent};
use super::wire::{self, Body, Fields};
use mif_core::call_queues::Weight;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use zbus::message::Flags;
use zbus::wire::DynamicDeserialize;
use zbus::{Message, OwnedVariant, Variant};

/// The unique name of a client; empty for the one at the other end of a socket pair.
pub type Client = Arc<str>;

/// A method call that waits for its reply.
#[derive(Clone, Debug)]
pub struct Call(Message, Option<Arc<Lent>>);

impl Call {
    /// Takes a message that is a method call.
    pub const fn new(message: Message) -> Self {
        Self(message, None)
    }

    /// Takes a message that is a method call and has file descriptors.
    pub fn with_descriptors(message: Message) -> zbus::Result<Self> {
        let call = lent::without_descriptors(&message);
        let lent = Lent::new(message);
        Ok(Self(call?, Some(Arc::new(lent))))
    }

    /// The descriptors that came with it.
    pub fn lent(&self) -> Option<Arc<Lent>> {
        self.1.clone()
    }

    /// Who calls.
    pub fn client(&self) -> Client {
        self.0.header().sender().map_or_else(|| Arc::from(""), |sender| Arc::from(sender.as_str()))
    }

    /// Which object.
    pub fn path(&self) -> String {
        self.0.header().path().map_or_else(String::new, |path| path.as_str().to_owned())
    }

    /// Which interface; D-Bus allows to leave it out.
    pub fn interface(&self) -> Option<String> {
        self.0.header().interface().map(|interface| interface.as_str().to_owned())
    }

    /// Which method.
    pub fn member(&self) -> String {
        self.0.header().member().map_or_else(String::new, |member| member.as_str().to_owned())
    }

    /// Whether the caller waits for a reply.
    pub fn wants_reply(&self) -> bool {
        !self.0.primary_header().flags().contains(Flags::NO_REPLY_EXPECTED)
    }

    /// Whether the caller is prepared to wait while somebody is asked.
    pub fn allows_prompt(&self) -> bool {
        self.0.primary_header().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH)
    }

    /// Its header.
    pub fn header(&self) -> zbus::message::Header<'_> {
        self.0.header()
    }

    /// What it holds while it waits to be served.
    pub fn weight(&self) -> Weight {
        Weight { bytes: self.0.data().len(), lending: usize::from(self.1.is_some()) }
    }

    /// Its arguments, which must have exactly this signature.
    pub fn arguments<T>(&self, signature: &str) -> Result<T, BusError>
    where
        T: for<'a> DynamicDeserialize<'a>,
    {
        let body = match &self.1 {
            Some(lent) => {
                lent.message().ok_or_else(|| BusError::invalid("its file descriptors are closed"))?.body()
            }
            None => self.0.body(),
        };
        let given = body.signature().to_string_no_parens();
        if given != signature {
            let member = self.member();
            return Err(BusError::invalid(format!(
                "{member} takes arguments of the signature \"{signature}\", not \"{given}\""
            )));
        }
        body.deserialize().map_err(|error| BusError::invalid(format!("{}: {error}", self.member())))
    }

    /// That it has no arguments.
    pub fn no_arguments(&self) -> Result<(), BusError> {
        let given = self.0.body().signature().to_string_no_parens();
        if given.is_empty() {
            return Ok(());
        }
        Err(BusError::invalid(format!("{} takes no arguments, not \"{given}\"", self.member())))
    }

    /// The reply, if the caller wants one.
    pub fn reply(&self, body: &dyn Body) -> Result<Option<Message>, BusError> {
        self.reply_with(body, Vec::new())
    }

    /// The reply with descriptors, which `body` has by their numbers, if the caller wants one.
    pub fn reply_with(
        &self,
        body: &dyn Body,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<Message>, BusError> {
        if !self.wants_reply() {
            return Ok(None);
        }
        let reply = wire::reply(&self.0, body, descriptors);
        reply
            .map(Some)
            .map_err(|error| BusError::new(Name::Failed, format!("the reply cannot be sent: {error}")))
    }

    /// The error reply, if the caller wants one.
    pub fn error(&self, error: &BusError) -> Option<Message> {
        if !self.wants_reply() {
            return None;
        }
        wire::error(&self.0, error.name.full(), &error.message).ok()
    }
}

/// The `options` of a call, each to be taken once: what nobody takes is refused by name.
pub struct Options(HashMap<String, Variant<'static>>);

impl Options {
    /// The options of a call of a method that knows `known`.
    pub fn new(given: HashMap<String, OwnedVariant>, known: &[&str]) -> Result<Self, BusError> {
        if let Some(unknown) = given.keys().find(|key| !known.contains(&key.as_str())) {
            let right = if known.is_empty() {
                "this method knows none".to_owned()
            } else {
                format!("known here: {}", known.join(", "))
            };
            let unknown = shown(unknown);
            return Err(BusError::invalid(format!("unknown option \"{unknown}\"; {right}")));
        }
        Ok(Self(given.into_iter().map(|(key, value)| (key, Variant::from(value))).collect()))
    }

    /// A number.
    pub fn number(&mut self, key: &str) -> Result<Option<u32>, BusError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Variant::U32(number)) => Ok(Some(number)),
            Some(other) => Err(wrong_type(key, "u", &other)),
        }
    }

    /// A port.
    pub fn port(&mut self, key: &str) -> Result<Option<u16>, BusError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Variant::U16(port)) => Ok(Some(port)),
            Some(other) => Err(wrong_type(key, "q", &other)),
        }
    }

    /// A text.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, BusError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Variant::Str(text)) => Ok(Some(text.as_str().to_owned())),
            Some(other) => Err(wrong_type(key, "s", &other)),
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, BusError> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        let wrong = wrong_type(key, "as", &value);
        Vec::<String>::try_from(value).map(Some).map_err(|_| wrong)
    }
}

fn wrong_type(key: &str, right: &str, given: &Variant<'_>) -> BusError {
    let given = given.value_signature();
    BusError::invalid(format!("option \"{key}\" is of type \"{right}\", not \"{given}\""))
}

/// A dictionary without entries.
pub fn nothing() -> Fields {
    Fields::new()
}
