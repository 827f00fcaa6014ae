//! A private bus, and a service on it that says what the tests want.

use std::collections::HashMap;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use zbus::connection::Builder;
use zbus::names::{OwnedUniqueName, UniqueName};
use zbus::{Connection, DynamicType, Message, MessageStream, ObjectPath, Variant};

pub const ETH0: &str = "/org/ietf/Mif1/interface/1002";
pub const WLAN0: &str = "/org/ietf/Mif1/interface/1003";
pub const OFFICE: &str = "/org/ietf/Mif1/pvd/1010";
pub const HOME: &str = "/org/ietf/Mif1/pvd/1011";

const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";

type Dict = HashMap<&'static str, Variant<'static>>;

/// A dbus-daemon of our own, on which everybody may do everything. It ends with this value.
pub struct Bus {
    pub address: String,
    directory: PathBuf,
    _daemon: Child,
}

impl Bus {
    pub async fn start(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("mifctl-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let configuration = directory.join("bus.conf");
        let socket = directory.join("bus");
        std::fs::write(
            &configuration,
            format!(
                "<busconfig><listen>unix:path={}</listen><policy context=\"default\">{}</policy></busconfig>",
                socket.display(),
                "<allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/>"
            ),
        )
        .unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("dbus-daemon starts (Debian package: dbus-daemon)");
        let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
        lines.next_line().await.unwrap().expect("dbus-daemon tells its address");
        Self { address: format!("unix:path={}", socket.display()), directory, _daemon: daemon }
    }

    pub async fn connect(&self) -> Connection {
        Builder::address(self.address.as_str()).build().await.unwrap()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// A service with two interfaces, each in one PvD.
pub struct Service {
    pub connection: Connection,
    /// Where ConnectToAddress really connects to.
    target: u16,
    subscriber: Mutex<Option<(OwnedUniqueName, String)>>,
}

impl Service {
    /// On the bus, with its name. Connections end up at this port of loopback.
    pub async fn start(bus: &Bus, target: u16) -> Arc<Self> {
        let connection = bus.connect().await;
        let calls = MessageStream::from(&connection);
        let service = Arc::new(Self { connection: connection.clone(), target, subscriber: Mutex::new(None) });
        tokio::spawn(serve(Arc::downgrade(&service), calls));
        connection.request_name("org.ietf.Mif1").await.unwrap();
        service
    }

    /// Leaves the bus without a word.
    pub async fn stop(self: Arc<Self>) {
        self.connection.clone().close().await.unwrap();
    }

    /// The unique name of the subscriber and its path.
    pub fn subscriber(&self) -> (OwnedUniqueName, String) {
        self.subscriber.lock().unwrap().clone().expect("there is a subscriber")
    }

    /// Sends a message to the subscriber.
    pub async fn tell<B: Serialize + DynamicType>(&self, member: &str, body: &B) {
        let (owner, path) = self.subscriber();
        let signal = signal(&owner, &path, member, body);
        self.connection.send(&signal).await.unwrap();
    }

    async fn answer(&self, call: &Message) {
        let header = call.header();
        let member = header.member().unwrap().as_str();
        let interface = header.interface().unwrap().as_str();
        match (interface, member) {
            ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects") => self.reply(call, &objects()).await,
            ("org.freedesktop.DBus.Properties", "GetAll") => self.reply(call, &manager()).await,
            ("org.ietf.Mif1.Manager", "CreateSubscriber") => self.create_subscriber(call).await,
            ("org.ietf.Mif1.ProvisioningDomain", "TranslateName") => self.translate_name(call).await,
            ("org.ietf.Mif1.ProvisioningDomain", "GetAllConfigurationData") => self.configuration(call).await,
            ("org.ietf.Mif1.ProvisioningDomain", "ConnectToAddress") => self.connect_to_address(call).await,
            (SUBSCRIBER, _) => self.announce(call, member).await,
            _ => self.fail(call, "org.freedesktop.DBus.Error.UnknownMethod", member).await,
        }
    }

    async fn create_subscriber(&self, call: &Message) {
        let (token, _): (String, HashMap<String, zbus::OwnedVariant>) = call.body().deserialize().unwrap();
        let owner: UniqueName<'_> = call.header().sender().unwrap().to_owned();
        let path = mif::names::subscriber_path(owner.as_str(), &token);
        *self.subscriber.lock().unwrap() = Some((owner.into(), path.clone()));
        self.reply(call, &ObjectPath::try_from(path).unwrap()).await;
    }

    async fn translate_name(&self, call: &Message) {
        let (name, _): (String, HashMap<String, zbus::OwnedVariant>) = call.body().deserialize().unwrap();
        let (address, server) = match call.header().path().unwrap().as_str() {
            OFFICE => ("10.1.0.80", "10.1.0.53"),
            _ => ("198.51.100.80", "192.168.7.1"),
        };
        if name != "www.example.org" {
            let message = format!("{name:?} does not exist, says {server}");
            return self.fail(call, "org.ietf.Mif1.Error.NameNotFound", &message).await;
        }
        let answer: Dict = HashMap::from([
            ("address", Variant::from(address)),
            ("source", Variant::from("dns")),
            ("ttl", Variant::from(300_u32)),
            ("server", Variant::from(server)),
            ("transport", Variant::from("udp")),
        ]);
        let details: Dict = HashMap::from([("answers", Variant::from(vec![answer]))]);
        self.reply(call, &(vec![address], details)).await;
    }

    /// One is configured; the other one has just gone.
    async fn configuration(&self, call: &Message) {
        if call.header().path().unwrap().as_str() != OFFICE {
            return self.fail(call, "org.freedesktop.DBus.Error.UnknownObject", "no such object").await;
        }
        let values: Dict = HashMap::from([("mtu", Variant::from(1400_u32))]);
        self.reply(call, &values).await;
    }

    async fn connect_to_address(&self, call: &Message) {
        type Arguments = (String, u16, HashMap<String, zbus::OwnedVariant>);
        let (address, port, _): Arguments = call.body().deserialize().unwrap();
        let stream = match port {
            1 => None,
            _ => TcpStream::connect(("127.0.0.1", self.target)).ok(),
        };
        let Some(stream) = stream else {
            let message = format!("{address} port {port} refused the connection");
            return self.fail(call, "org.ietf.Mif1.Error.ConnectionRefused", &message).await;
        };
        let details: Dict = HashMap::from([
            ("local-address", Variant::from("10.1.0.7")),
            ("local-port", Variant::from(40_112_u16)),
            ("handshake-us", Variant::from(1_240_u32)),
        ]);
        self.reply(call, &(zbus::Fd::from(OwnedFd::from(stream)), details)).await;
    }

    async fn announce(&self, call: &Message, member: &str) {
        let about: Option<ObjectPath<'_>> =
            call.body().deserialize().ok().map(|it: ObjectPath<'_>| it.to_owned());
        let about = about.as_ref().map(ObjectPath::as_str);
        let count = match (member, about) {
            ("AnnounceInterfaces", _) => {
                for (path, index, name, kind) in
                    [(ETH0, 2_u32, "eth0", "ethernet"), (WLAN0, 3, "wlan0", "wifi")]
                {
                    let details: Dict = HashMap::from([
                        ("ifindex", Variant::from(index)),
                        ("name", Variant::from(name)),
                        ("kind", Variant::from(kind)),
                    ]);
                    self.tell("InterfaceAnnouncement", &(object(path), name, details)).await;
                }
                2_u32
            }
            ("AnnounceProvisioningDomains", Some(interface)) => {
                let (pvd, id, origin) = match interface {
                    ETH0 => (OFFICE, "implicit:eth0:ipv4", "implicit"),
                    _ => (HOME, "home.example", "explicit"),
                };
                let details: Dict = HashMap::from([
                    ("id", Variant::from(id)),
                    ("origin", Variant::from(origin)),
                    ("family", Variant::from("ipv4")),
                ]);
                self.tell("ProvisioningDomainAnnouncement", &(object(interface), object(pvd), details)).await;
                1
            }
            ("AnnounceConfigurationElements", Some(pvd)) => {
                self.tell("ConfigurationElementAnnouncement", &(object(pvd), "dhcpv4", Dict::new())).await;
                1
            }
            ("AnnounceAddresses", Some(pvd)) => {
                let address = if pvd == OFFICE { "10.1.0.7" } else { "192.168.7.20" };
                let body = (object(pvd), address, 24_u8, u64::MAX, u64::MAX, Dict::new());
                self.tell("AddressAnnouncement", &body).await;
                1
            }
            _ => return self.fail(call, "org.freedesktop.DBus.Error.UnknownMethod", member).await,
        };
        self.reply(call, &count).await;
    }

    async fn reply<B: Serialize + DynamicType>(&self, call: &Message, body: &B) {
        self.connection.reply(&call.header(), body).await.unwrap();
    }

    async fn fail(&self, call: &Message, name: &'static str, message: &str) {
        self.connection.reply_error(&call.header(), name, &message).await.unwrap();
    }
}

/// A message to a subscriber, from whomever sends it.
pub fn signal<B: Serialize + DynamicType>(
    owner: &OwnedUniqueName,
    path: &str,
    member: &str,
    body: &B,
) -> Message {
    Message::signal(path, SUBSCRIBER, member).destination(owner.clone()).build(body).unwrap()
}

pub fn object(path: &str) -> ObjectPath<'_> {
    ObjectPath::try_from(path).unwrap()
}

async fn serve(service: std::sync::Weak<Service>, mut calls: MessageStream) {
    while let Some(Ok(message)) = calls.next().await {
        if message.message_type() != zbus::message::Type::MethodCall {
            continue;
        }
        let Some(service) = service.upgrade() else { return };
        service.answer(&message).await;
    }
}

/// All that is worth a word where it is missing, but polkit.
const FEATURES: [&str; 6] =
    ["own-dhcp", "connect", "pvd-routing", "bind-socket", "fchown", "router-advertisements"];

fn manager() -> Dict {
    let defaults = vec![object(OFFICE).to_owned()];
    HashMap::from([
        ("DefaultProvisioningDomains", Variant::from(defaults)),
        ("Startup", Variant::from(false)),
        ("Features", Variant::from(FEATURES.to_vec())),
    ])
}

fn objects() -> HashMap<ObjectPath<'static>, HashMap<&'static str, Dict>> {
    let interface = |index: u32, name: &'static str, kind: &'static str, pvd: &'static str| {
        let properties: Dict = HashMap::from([
            ("Ifindex", Variant::from(index)),
            ("Name", Variant::from(name)),
            ("DisplayName", Variant::from(name)),
            ("Kind", Variant::from(kind)),
            ("State", Variant::from("up")),
            ("ProvisioningDomains", Variant::from(vec![object(pvd)])),
        ]);
        HashMap::from([("org.ietf.Mif1.Interface", properties)])
    };
    HashMap::from([
        (object(ETH0), interface(2, "eth0", "ethernet", OFFICE)),
        (object(WLAN0), interface(3, "wlan0", "wifi", HOME)),
        (object(OFFICE), pvd(ETH0, "implicit:eth0:ipv4", "implicit", ["10.1.0.7", "10.1.0.53", "10.1.0.1"])),
        (
            object(HOME),
            pvd(WLAN0, "home.example", "explicit", ["192.168.7.20", "192.168.7.1", "192.168.7.1"]),
        ),
    ])
}

/// A PvD with one address, DNS server and router.
fn pvd(
    interface: &'static str,
    id: &'static str,
    origin: &'static str,
    [address, server, router]: [&'static str; 3],
) -> HashMap<&'static str, Dict> {
    let entry: Dict = HashMap::from([
        ("address", Variant::from(address)),
        ("prefix-length", Variant::from(24_u8)),
        ("state", Variant::from("preferred")),
        ("element", Variant::from("dhcpv4")),
        ("temporary", Variant::from(false)),
    ]);
    let properties: Dict = HashMap::from([
        ("Interface", Variant::from(object(interface))),
        ("Id", Variant::from(id)),
        ("Origin", Variant::from(origin)),
        ("Family", Variant::from("ipv4")),
        ("ConfigurationElements", Variant::from(vec!["dhcpv4"])),
        ("Addresses", Variant::from(vec![entry])),
        ("DnsServers", Variant::from(vec![server])),
        ("SearchDomains", Variant::from(Vec::<&str>::new())),
        ("Routers", Variant::from(vec![router])),
        ("ConfigurationRevision", Variant::from(1_u32)),
        ("AddressLifetimes", Variant::from(HashMap::from([(address, (u64::MAX, u64::MAX))]))),
    ]);
    HashMap::from([("org.ietf.Mif1.ProvisioningDomain", properties)])
}
