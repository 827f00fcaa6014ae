//! What changes, and who tells of it how soon.

use crate::contender::{Contender, LEASED, Running};
use crate::fresh::{self, FRESH, Leased};
use crate::kernel::Kernel;
use crate::listener::{Delay, Listener, PATIENCE, now};
use mif_tests::cable::Cable;
use mif_tests::daemons::Dhcpcd;
use mif_tests::node::Node;
use mif_tests::report::{Quantity, Report, median, microseconds};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use std::net::Ipv4Addr;
use std::time::Duration;

/// From just before the change until the client has the signal.
pub const SIGNAL: Quantity = Quantity::less("signal", "us");
/// Until the same client has it from the kernel.
pub const FLOOR: Quantity = Quantity::told("kernel", "us");
/// The signal after the kernel's word.
pub const BEYOND: Quantity = Quantity::less("beyond", "us");
/// CPU time.
pub const CPU: Quantity = Quantity::less("CPU", "us each");

/// A change: how tables call it, who says it first, and the signal that tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What changes.
    pub name: &'static str,
    kernel: &'static str,
    mifd: &'static str,
    network_manager: &'static str,
}

const DEVICE: &str = "DeviceAdded";
const IPV4: &str = "PropertiesChanged org.freedesktop.NetworkManager.IP4Config";
const IPV6: &str = "PropertiesChanged org.freedesktop.NetworkManager.IP6Config";
const DHCP: &str = "PropertiesChanged org.freedesktop.NetworkManager.DHCP4Config";
const ELEMENT: &str = "ConfigurationElementAnnouncement dhcpv4";

impl Case {
    const fn new(
        name: &'static str,
        kernel: &'static str,
        mifd: &'static str,
        network_manager: &'static str,
    ) -> Self {
        Self { name, kernel, mifd, network_manager }
    }

    /// The signal that tells of it.
    pub const fn signal(self, contender: Contender) -> &'static str {
        match contender {
            Contender::Mifd => self.mifd,
            Contender::Networkd => "PropertiesChanged org.freedesktop.network1.Link",
            Contender::NetworkManager => self.network_manager,
        }
    }
}

const LINK: Case = Case::new("a link comes", "link", "InterfaceAnnouncement", DEVICE);
/// Before, the link had nothing but a link-local address.
pub const FIRST: Case =
    Case::new("the first address of a link comes", "address", "ProvisioningDomainAnnouncement", IPV4);
const FIRST_GONE: Case =
    Case::new("the last address of a link goes", "no-address", "NoProvisioningDomainAnnouncement", IPV4);
/// Of a link that has one.
pub const SECOND: Case = Case::new("another address comes", "address", "AddressAnnouncement", IPV4);
const SECOND_GONE: Case = Case::new("another address goes", "no-address", "NoAddressAnnouncement", IPV4);
/// Of a router that the link has not heard before.
pub const ROUTER: Case =
    Case::new("a Router Advertisement", "advertisement", "ProvisioningDomainAnnouncement", IPV6);
const LEASE: Case =
    Case::new("a lease, from the server's acknowledgement on", "acknowledgement", ELEMENT, DHCP);
const FILE: Case = Case::new("a lease that dhclient has written down", "file", ELEMENT, DHCP);
/// It says nothing new.
pub const REPEATED: &str = "the same Router Advertisement again";
/// A signal that a client sends to itself.
pub const HOP: &str = "a hop over the bus";

/// So long nothing is heard before a change is made.
const QUIET: Duration = Duration::from_millis(40);
/// How often a router says the same again.
const REPEATS: u32 = 300;
/// The address that comes first.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// One contender at work, and the client that listens to it.
pub struct Round<'a> {
    /// Who.
    pub contender: Contender,
    /// It runs.
    pub running: &'a Running,
    /// The client.
    pub listener: &'a mut Listener,
    /// How many changes of a kind.
    pub changes: usize,
    /// Where the medians of the round go.
    pub report: &'a mut Report,
    /// A link of its own with nothing but a link-local address.
    pub ifindex: u32,
}

impl Round<'_> {
    /// A signal of the client to itself, from the same rest as changes: it takes twice as long as after 5 ms.
    pub async fn hop(&mut self) {
        let mut taken = Vec::new();
        for _ in 0..self.changes {
            self.listener.quiet(QUIET).await;
            taken.push(microseconds(self.listener.hop().await));
        }
        self.report.add(HOP, "the bus", SIGNAL, median(taken));
    }

    /// Links come and go.
    pub async fn links(&mut self) {
        let kernel = Kernel::open();
        let mut delays = Vec::new();
        for number in 0..self.changes {
            let name = format!("new{number}");
            delays.extend(self.change(LINK, || kernel.add_link(&name)).await);
            self.listener.quiet(QUIET).await;
            kernel.remove_link(&name);
        }
        self.add(LINK, &delays);
    }

    /// The first address of a link comes, others come and go, the first one goes.
    pub async fn addresses(&mut self) {
        let (kernel, index) = (Kernel::open(), self.ifindex);
        let (mut come, mut gone) = (Vec::new(), Vec::new());
        for _ in 0..self.changes {
            come.extend(self.change(FIRST, || kernel.add_address(ADDRESS, index)).await);
            gone.extend(self.change(FIRST_GONE, || kernel.remove_address(ADDRESS, index)).await);
        }
        self.add(FIRST, &come);
        self.add(FIRST_GONE, &gone);
        if self.contender == Contender::Networkd {
            // It says nothing of a second address.
            return;
        }
        kernel.add_address(ADDRESS, index);
        (come, gone) = (Vec::new(), Vec::new());
        for number in 0..self.changes {
            let address = Ipv4Addr::new(198, 51, 100, u8::try_from(number % 250 + 1).expect("an octet"));
            come.extend(self.change(SECOND, || kernel.add_address(address, index)).await);
            gone.extend(self.change(SECOND_GONE, || kernel.remove_address(address, index)).await);
        }
        self.add(SECOND, &come);
        self.add(SECOND_GONE, &gone);
        self.listener.quiet(QUIET).await;
        kernel.remove_address(ADDRESS, index);
    }

    /// Routers that the links have not heard before; of mifd, too, what it costs to hear one again.
    pub async fn routers(&mut self, near: &Node, far: &Node) {
        let cables = fresh::routed(near, far).await;
        self.running.settle().await;
        let senders: Vec<RawSender> = cables.iter().map(|cable| RawSender::on(cable.far())).collect();
        let mut delays = Vec::new();
        for (number, sender) in senders.iter().enumerate() {
            let message = RouterAdvertisement::new(1800)
                .prefix(&format!("2001:db8:{number:x}::"), 64, 3600, 1800)
                .dns_servers(3600, &["2001:db8::53"]);
            delays.extend(self.change(ROUTER, || sender.send(message.bytes())).await);
        }
        self.add(ROUTER, &delays);
        if self.contender == Contender::Mifd {
            self.repeated(&senders[0]).await;
        }
        cables.iter().for_each(Cable::remove);
    }

    /// Nothing is told, and little done, when a router says what it has said before.
    async fn repeated(&mut self, sender: &RawSender) {
        let message = RouterAdvertisement::new(1800).pvd(0, 1, "same.example", &RouterAdvertisement::new(0));
        self.listener.quiet(QUIET).await;
        self.change(ROUTER, || sender.send(message.bytes())).await;
        self.listener.quiet(5 * QUIET).await;
        // Below the rate at which advertisements of a link are looked at.
        let mut pace = tokio::time::interval(Duration::from_millis(11));
        let before = self.running.usage();
        for _ in 0..REPEATS {
            pace.tick().await;
            sender.send(message.bytes());
        }
        pace.tick().await;
        let used = self.running.usage().since(before);
        let told = self.listener.signals();
        assert!(told.is_empty(), "an advertisement that says nothing new is announced: {told:?}");
        self.report.add(REPEATED, "mifd", CPU, microseconds(used.cpu) / f64::from(REPEATS));
    }

    /// Leases that the contender, or dhcpcd beside mifd, asks for when a link comes up.
    pub async fn leases(&mut self, near: &Node, far: &Node) {
        let client = match self.contender {
            Contender::Mifd => Some(Dhcpcd::on_links(near, &format!("{LEASED}*")).ipv4_only().start().await),
            Contender::Networkd | Contender::NetworkManager => None,
        };
        let links = Leased::start(near, far).await;
        self.running.settle().await;
        let mut taken = Vec::new();
        for number in 0..FRESH {
            self.listener.quiet(QUIET).await;
            let since = now();
            links.plug(number);
            let signal = LEASE.signal(self.contender);
            let delay = self.listener.delay_after(since, LEASE.kernel, signal).await;
            taken.extend(self.told(LEASE, delay).map(microseconds));
        }
        if !taken.is_empty() {
            self.report.add(LEASE.name, self.contender.name(), SIGNAL, median(taken));
        }
        links.end().await;
        if let Some(client) = client {
            client.terminate().await;
        }
    }

    /// mifd beside a DHCP client that writes its leases into a file: another name server each time.
    pub async fn files(&mut self, link: &str) {
        if self.contender != Contender::Mifd {
            return;
        }
        let (kernel, address) = (Kernel::open(), ADDRESS.to_string());
        kernel.add_address(ADDRESS, self.ifindex);
        let mut delays = Vec::new();
        for number in 0..self.changes {
            let write = || fresh::write_lease(link, &address, number);
            delays.extend(self.change(FILE, write).await);
        }
        self.add(FILE, &delays);
        fresh::forget_leases();
        kernel.remove_address(ADDRESS, self.ifindex);
    }

    async fn change(&mut self, case: Case, make: impl FnOnce()) -> Option<Delay> {
        self.listener.quiet(QUIET).await;
        let since = now();
        make();
        let delay = self.listener.delay(since, case.kernel, case.signal(self.contender)).await;
        self.told(case, delay)
    }

    /// Says that somebody was silent; mifd never is.
    fn told<T>(&mut self, case: Case, delay: Option<T>) -> Option<T> {
        if delay.is_none() {
            let who = self.contender.name();
            let words = format!("{who} did not tell in {} s: {}", PATIENCE.as_secs(), case.name);
            assert!(self.contender != Contender::Mifd, "{words}");
            self.report.note(&words);
        }
        delay
    }

    fn add(&mut self, case: Case, delays: &[Delay]) {
        if delays.is_empty() {
            return;
        }
        let of = |pick: fn(&Delay) -> Duration| median(delays.iter().map(pick).map(microseconds).collect());
        let who = self.contender.name();
        self.report.add(case.name, who, SIGNAL, of(|delay| delay.signal));
        self.report.add(case.name, who, FLOOR, of(|delay| delay.floor));
        self.report.add(case.name, who, BEYOND, of(|delay| delay.signal.saturating_sub(delay.floor)));
    }
}
