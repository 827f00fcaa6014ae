//! A client that does by hand what libraries do for everybody: it passes descriptors or not, and reads when it is
//! told to and not before.

use std::io;
use std::num::NonZeroU32;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use zbus::message::{Flags, Type};
use zbus::wire::{LE, serialized};
use zbus::{DynamicType, Message};

use crate::universe::SYSTEM_BUS;
use crate::wait::completes;

/// The part of a message that says how long the rest is.
const FIXED: usize = 16;

/// A connection to the bus of a universe, as the user of this process.
#[derive(Debug)]
pub struct RawClient {
    stream: UnixStream,
    name: String,
    service: String,
}

impl RawClient {
    /// Connects without saying that it can take descriptors.
    ///
    /// # Panics
    /// When the bus refuses.
    pub async fn without_descriptors() -> Self {
        Self::connect().await.expect("connect to the bus by hand")
    }

    /// A client that will not read for long; it cannot take descriptors either.
    pub async fn lazy() -> Self {
        Self::without_descriptors().await
    }

    async fn connect() -> io::Result<Self> {
        let path = SYSTEM_BUS.strip_prefix("unix:path=").expect("a path");
        let mut stream = UnixStream::connect(path).await?;
        let uid = nix::unistd::getuid().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes()).await?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await?);
        }
        assert!(line.starts_with(b"OK "), "{}", String::from_utf8_lossy(&line));
        stream.write_all(b"BEGIN\r\n").await?;
        let mut client = Self { stream, name: String::new(), service: "org.ietf.Mif1".to_owned() };
        let bus = "org.freedesktop.DBus";
        let hello = call(bus, "/org/freedesktop/DBus", bus, "Hello").build(&()).map_err(io::Error::other)?;
        client.send(&hello).await;
        let reply = client.reply_to(hello.primary_header().serial_num()).await;
        client.name = reply.expect("a name").body().deserialize().map_err(io::Error::other)?;
        Ok(client)
    }

    /// The same, to call another service than ours.
    #[must_use]
    pub fn calling(self, service: &str) -> Self {
        Self { service: service.to_owned(), ..self }
    }

    /// Its unique name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls a method of the service and does not wait: the serial number of the call.
    pub async fn post<B>(&mut self, path: &str, interface: &str, member: &str, body: &B) -> NonZeroU32
    where
        B: Serialize + DynamicType,
    {
        let message = call(&self.service, path, interface, member).build(body).expect("a message");
        self.send(&message).await;
        message.primary_header().serial_num()
    }

    /// The same without a wish for a reply.
    pub async fn tell<B>(&mut self, path: &str, interface: &str, member: &str, body: &B)
    where
        B: Serialize + DynamicType,
    {
        let message = call(&self.service, path, interface, member).with_flags(Flags::NO_REPLY_EXPECTED);
        let message = message.build(body).expect("a message");
        self.send(&message).await;
    }

    /// Calls and waits for the reply, the error's name in place of it.
    pub async fn call<B>(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Result<Message, String>
    where
        B: Serialize + DynamicType,
    {
        let serial = self.post(path, interface, member, body).await;
        self.reply_to(serial).await
    }

    /// The reply to a call; what comes before it is passed over.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn reply_to(&mut self, serial: NonZeroU32) -> Result<Message, String> {
        loop {
            let message = self.next().await;
            if message.header().reply_serial() == Some(serial) {
                return match message.message_type() {
                    Type::Error => Err(message.header().error_name().expect("a name").to_string()),
                    _ => Ok(message),
                };
            }
        }
    }

    /// The next message.
    ///
    /// # Panics
    /// At the deadline, or when the bus hung up.
    pub async fn next(&mut self) -> Message {
        self.read().await.expect("the bus goes on")
    }

    /// The next message; an error when the bus hung up.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn read(&mut self) -> io::Result<Message> {
        completes("a message to the client made by hand", async {
            let mut bytes = vec![0; FIXED];
            self.stream.read_exact(&mut bytes).await?;
            assert_eq!(bytes[0], b'l', "everybody here is little-endian");
            let number =
                |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            let (body, fields) = (number(4) as usize, number(12) as usize);
            let length = (FIXED + fields).next_multiple_of(8) + body;
            bytes.resize(length, 0);
            self.stream.read_exact(&mut bytes[FIXED..]).await?;
            let data = serialized::Data::new(bytes, serialized::Context::new(LE, 0));
            // SAFETY: the bytes are a whole message as the bus sent it, and have no descriptors.
            unsafe { Message::from_bytes(data) }.map_err(io::Error::other)
        })
        .await
    }

    /// Sends a message as it is.
    ///
    /// # Panics
    /// When the bus hung up, or does not take it.
    pub async fn send(&mut self, message: &Message) {
        self.try_send(message).await.expect("the bus takes a message");
    }

    /// Sends a message as it is, unless the bus hung up.
    ///
    /// # Errors
    /// It did.
    pub async fn try_send(&mut self, message: &Message) -> io::Result<()> {
        completes("the bus to take a message", self.stream.write_all(message.data())).await
    }
}

fn call<'a>(
    destination: &'a str,
    path: &'a str,
    interface: &'a str,
    member: &'a str,
) -> zbus::message::Builder<'a> {
    Message::method_call(path, member).destination(destination).interface(interface)
}
