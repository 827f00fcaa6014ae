//! An echo server that first says which source address it saw.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use socket2::{Domain, Socket, Type};

use crate::node::Node;
use crate::wait::DEADLINE;

/// The port of [`EchoServer`]s (RFC 862).
pub const ECHO_PORT: u16 = 7;

/// A TCP server on every address of its node. To each connection it writes one line, the source
/// address and port that it saw and the name of its node, and then sends back all it receives.
#[derive(Debug)]
pub struct EchoServer {
    node: Node,
}

impl EchoServer {
    /// Starts it, on port [`ECHO_PORT`] of both families.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn on(node: &Node) -> Self {
        let listener = node.within(listen).expect("listen on the echo port");
        let name = node.name().to_owned();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let name = name.clone();
                std::thread::spawn(move || serve(connection, &name));
            }
        });
        Self { node: node.clone() }
    }

    /// The node it runs in.
    pub fn node(&self) -> &Node {
        &self.node
    }
}

/// A UDP server on some addresses of its node. Each datagram is answered, from the address that it came to, with the
/// source address and port that was seen and the name of the node.
#[derive(Debug)]
pub struct DatagramServer;

impl DatagramServer {
    /// Starts it, on port [`ECHO_PORT`] of `addresses`.
    ///
    /// # Panics
    /// When a port is taken.
    pub fn on(node: &Node, addresses: &[IpAddr]) -> Self {
        for address in addresses {
            let socket = node.within(|| UdpSocket::bind((*address, ECHO_PORT))).expect("bind the echo port");
            let name = node.name().to_owned();
            std::thread::spawn(move || {
                while let Ok((_, from)) = socket.recv_from(&mut [0; 512]) {
                    let answer = format!("{} {} {name}", from.ip(), from.port());
                    // That it does not arrive is the affair of the other side.
                    let _ = socket.send_to(answer.as_bytes(), from);
                }
            });
        }
        Self
    }
}

/// What an [`EchoServer`] says of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The source that it saw.
    pub source: IpAddr,
    /// The source port that it saw.
    pub port: u16,
    /// The name of the node it runs in.
    pub server: String,
}

impl Greeting {
    /// Reads the greeting from a connected stream and checks that the stream carries data both ways.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is not a greeting.
    pub fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let greeting = Self::parse(&line)?;
        let (mut writer, mut back) = (stream, [0; 4]);
        writer.write_all(b"ping")?;
        reader.read_exact(&mut back)?;
        if &back == b"ping" { Ok(greeting) } else { Err(io::Error::other(format!("not an echo: {back:?}"))) }
    }

    /// The same of a connection that a test was given.
    ///
    /// # Panics
    /// As well as when nothing comes in time.
    pub async fn over(socket: impl Into<TcpStream>) -> Self {
        let stream = socket.into();
        stream.set_read_timeout(Some(DEADLINE)).expect("wait no longer");
        let read = tokio::task::spawn_blocking(move || Self::read(&stream)).await;
        read.expect("a thread").expect("a greeting")
    }

    /// From the text of a [`DatagramServer`]'s answer.
    ///
    /// # Errors
    /// When it is not a greeting.
    pub fn parse(line: &str) -> io::Result<Self> {
        let mut words = line.split_whitespace();
        let greeting = (|| {
            let source = words.next()?.parse().ok()?;
            let port = words.next()?.parse().ok()?;
            Some(Self { source, port, server: words.next()?.to_owned() })
        })();
        greeting.ok_or_else(|| io::Error::other(format!("not a greeting: {line:?}")))
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, ECHO_PORT)).into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// Serves one connection; that it breaks is the affair of the other side.
fn serve(mut connection: TcpStream, name: &str) {
    let Ok(peer) = connection.peer_addr() else { return };
    if writeln!(connection, "{} {} {name}", peer.ip().to_canonical(), peer.port()).is_err() {
        return;
    }
    if let Ok(mut writer) = connection.try_clone() {
        let _ = io::copy(&mut connection, &mut writer);
    }
}
