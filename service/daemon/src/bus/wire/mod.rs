//! Messages as bytes (D-Bus Specification, "Message Protocol"): signals and replies, which everybody waits for.
//!
//! zbus finds out and checks signatures, names and nesting while it runs; that was half of all instructions that a change
//! takes. Here the types are known to the compiler. zbus sends what is made here, and reads all that comes in.

mod marshal;
mod value;

pub use marshal::{Body, Descriptor, Marshal, Raw, STRUCTURE, Writer};
pub use value::{Fields, Value};

use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use zbus::Message;
use zbus::message::{Header, PrimaryHeader, Type};
use zbus::wire::NATIVE_ENDIAN;
use zbus::wire::serialized::{Context, Data};

/// The version of the protocol.
const VERSION: u8 = 1;
/// Where the header has the length of the body.
const BODY_LENGTH: std::ops::Range<usize> = 4..8;
/// Most signals and replies are no longer.
const USUAL_LENGTH: usize = 512;

/// The fields of a header (D-Bus Specification, "Header Fields"); what is empty or `None` is left out.
#[derive(Clone, Copy, Debug, Default)]
struct Heading<'a> {
    path: &'a str,
    interface: &'a str,
    member: &'a str,
    error_name: &'a str,
    reply_to: Option<u32>,
    destination: &'a str,
}

/// Where a signal comes from and what it is called. Names are not checked: those here are written down in the contract.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a> {
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
}

impl Signal<'_> {
    /// The signal for everybody.
    pub fn broadcast(self, body: &dyn Body) -> zbus::Result<Message> {
        self.to("", body)
    }

    /// The signal for the client of this unique name; an empty one is the peer at the other end of a socket pair.
    pub fn to(self, client: &str, body: &dyn Body) -> zbus::Result<Message> {
        let Self { path, interface, member } = self;
        let heading = Heading { path, interface, member, destination: client, ..Heading::default() };
        message(Type::Signal, heading, body, Vec::new())
    }
}

/// The reply to `call`, with the descriptors that `body` has as [`Descriptor`]s.
pub fn reply(call: &Message, body: &dyn Body, descriptors: Vec<OwnedFd>) -> zbus::Result<Message> {
    let header = call.header();
    message(Type::MethodReturn, answering(&header), body, descriptors)
}

/// The error of this name in place of a reply to `call`.
pub fn error(call: &Message, name: &str, text: &str) -> zbus::Result<Message> {
    let header = call.header();
    let heading = Heading { error_name: name, ..answering(&header) };
    message(Type::Error, heading, &(text,), Vec::new())
}

/// The error of this name to the call that `reply` was for.
pub fn error_instead_of(reply: &Message, name: &str, text: &str) -> zbus::Result<Message> {
    let header = reply.header();
    let heading = Heading {
        error_name: name,
        reply_to: header.reply_serial().map(NonZeroU32::get),
        destination: header.destination().map_or("", |caller| caller.as_str()),
        ..Heading::default()
    };
    message(Type::Error, heading, &(text,), Vec::new())
}

fn answering<'a>(call: &'a Header<'_>) -> Heading<'a> {
    Heading {
        reply_to: Some(call.primary().serial_num().get()),
        destination: call.sender().map_or("", |sender| sender.as_str()),
        ..Heading::default()
    }
}

/// One for all bodies: the code of a change is mostly not in the processor's caches when one comes.
fn message(
    kind: Type,
    heading: Heading<'_>,
    body: &dyn Body,
    descriptors: Vec<OwnedFd>,
) -> zbus::Result<Message> {
    // Numbered with those that zbus makes, so that no two of the connection are the same.
    let number = PrimaryHeader::new(kind, 0).serial_num().get();
    let mut out = Writer::with_capacity(USUAL_LENGTH);
    let byte_order = if cfg!(target_endian = "little") { b'l' } else { b'B' };
    for byte in [byte_order, kind as u8, 0, VERSION] {
        byte.marshal(&mut out);
    }
    0_u32.marshal(&mut out);
    number.marshal(&mut out);
    let mut signature = String::new();
    body.signature(&mut signature);
    heading.marshal(&signature, descriptors.len(), &mut out);
    out.align(8);
    let start = out.length();
    body.marshal(&mut out);
    let length = u32::try_from(out.length() - start).map_err(|_| zbus::Error::ExcessData)?;
    let mut bytes = out.into_bytes();
    bytes[BODY_LENGTH].copy_from_slice(&length.to_ne_bytes());
    // SAFETY: these are the header and the body of a message in this byte order, and as many descriptors as it says.
    unsafe { Message::from_bytes(Data::new_fds(bytes, Context::new(NATIVE_ENDIAN, 0), descriptors)) }
}

impl Heading<'_> {
    fn marshal(self, signature: &str, descriptors: usize, out: &mut Writer) {
        let descriptors = u32::try_from(descriptors).ok().filter(|count| *count > 0);
        out.array(8, |out| {
            let texts = [
                (1, "o", self.path),
                (2, "s", self.interface),
                (3, "s", self.member),
                (4, "s", self.error_name),
                (6, "s", self.destination),
            ];
            for (code, kind, text) in texts.into_iter().filter(|(.., text)| !text.is_empty()) {
                out.field(code, kind);
                text.marshal(out);
            }
            for (code, number) in [(5, self.reply_to), (9, descriptors)] {
                if let Some(number) = number {
                    out.field(code, "u");
                    number.marshal(out);
                }
            }
            if !signature.is_empty() {
                out.field(8, "g");
                out.signature(signature);
            }
        });
    }
}

impl Writer {
    /// The beginning of a header field: its code, and of what type it is.
    fn field(&mut self, code: u8, kind: &str) {
        self.align(8);
        code.marshal(self);
        self.signature(kind);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::collections::BTreeMap;
    use std::fs::File;
    use zbus::{ObjectPath, OwnedVariant};

    const SIGNAL: Signal<'_> = Signal { path: "/a/b", interface: "org.example.A", member: "Changed" };

    #[test]
    fn a_signal_is_read_as_it_was_meant() {
        let path = ObjectPath::from_static_str_unchecked("/c/1");
        let fields = Fields::from([("word", Value::from("x")), ("addresses", Value::from(vec!["::1"]))]);
        let signal = SIGNAL.to(":1.42", &(&path, "text", 24_u8, u64::MAX, fields)).unwrap();
        let header = signal.header();
        assert_eq!(header.message_type(), Type::Signal);
        assert_eq!(header.path().unwrap().as_str(), SIGNAL.path);
        assert_eq!(header.interface().unwrap().as_str(), SIGNAL.interface);
        assert_eq!(header.member().unwrap().as_str(), SIGNAL.member);
        assert_eq!(header.destination().unwrap().as_str(), ":1.42");
        assert_eq!(signal.body().signature().to_string_no_parens(), "osyta{sv}");
        type Read<'a> = (ObjectPath<'a>, &'a str, u8, u64, BTreeMap<&'a str, OwnedVariant>);
        let body = signal.body();
        let (read_path, text, byte, number, fields): Read<'_> = body.deserialize().unwrap();
        assert_eq!((read_path, text, byte, number), (path, "text", 24, u64::MAX));
        assert_eq!(<&str>::try_from(&*fields["word"]).unwrap(), "x");
        assert_eq!(Vec::<String>::try_from(fields["addresses"].clone()).unwrap(), ["::1"]);
    }

    #[test]
    fn who_is_told_is_left_out_when_it_is_everybody() {
        let signal = SIGNAL.broadcast(&()).unwrap();
        assert!(signal.header().destination().is_none());
        assert!(signal.body().is_empty());
        assert_eq!(signal.body().signature().to_string(), "");
    }

    #[test]
    fn numbers_are_never_used_twice() {
        let ours = SIGNAL.broadcast(&()).unwrap();
        let theirs = Message::signal(SIGNAL.path, SIGNAL.interface, SIGNAL.member).build(&()).unwrap();
        let next = SIGNAL.broadcast(&()).unwrap();
        let number = |message: &Message| message.primary_header().serial_num().get();
        assert!(number(&ours) < number(&theirs) && number(&theirs) < number(&next));
    }

    #[test]
    fn replies_and_errors_name_their_call() {
        let call = Message::method_call("/a", "Ask").sender(":1.7").build(&()).unwrap();
        let reply = reply(&call, &(7_u32,), Vec::new()).unwrap();
        let error = error(&call, "org.example.Error.No", "no").unwrap();
        for answer in [&reply, &error] {
            let header = answer.header();
            assert_eq!(header.reply_serial(), Some(call.primary_header().serial_num()));
            assert_eq!(header.destination().unwrap().as_str(), ":1.7");
        }
        assert_eq!(reply.message_type(), Type::MethodReturn);
        assert_eq!(reply.body().deserialize::<u32>().unwrap(), 7);
        assert_eq!(error.message_type(), Type::Error);
        assert_eq!(error.header().error_name().unwrap().as_str(), "org.example.Error.No");
        assert_eq!(error.body().deserialize::<&str>().unwrap(), "no");
        let instead = error_instead_of(&reply, "org.example.Error.No", "no").unwrap();
        assert_eq!(instead.header().reply_serial(), reply.header().reply_serial());
        assert_eq!(instead.header().destination(), reply.header().destination());
    }

    #[test]
    fn descriptors_go_along() {
        let call = Message::method_call("/a", "Take").build(&()).unwrap();
        let file = OwnedFd::from(File::open("/dev/null").unwrap());
        let reply = reply(&call, &(Descriptor(0), Fields::new()), vec![file]).unwrap();
        assert_eq!(reply.data().fds().len(), 1);
        assert_eq!(reply.body().signature().to_string_no_parens(), "ha{sv}");
        let body = reply.body();
        let (_, fields): (zbus::OwnedFd, BTreeMap<String, OwnedVariant>) = body.deserialize().unwrap();
        assert!(fields.is_empty());
    }
}
