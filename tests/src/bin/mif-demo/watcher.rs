//! A subscriber that keeps what was announced to it.

use std::net::IpAddr;
use std::time::Instant;

use futures_util::StreamExt;
use mif::{Error, Message, Messages, Subscriber};
use mif_tests::wait::completes;
use zbus::{Connection, OwnedObjectPath};

/// What the messages of a subscriber add up to.
#[derive(Debug)]
pub struct Watcher {
    connection: Connection,
    /// Its calls.
    pub subscriber: Subscriber,
    messages: Messages,
    /// Announced interfaces, in order.
    pub interfaces: Vec<Interface>,
    /// Announced PvDs, in order; those that went stay, marked.
    pub pvds: Vec<Pvd>,
    history: Vec<String>,
    history_begins: Instant,
}

/// An announced interface.
#[derive(Debug)]
pub struct Interface {
    path: OwnedObjectPath,
    /// The kernel's name.
    pub name: String,
    /// The word for its kind.
    pub kind: String,
    /// Its end was announced.
    pub gone: bool,
}

/// An announced PvD.
#[derive(Debug)]
pub struct Pvd {
    /// Its object.
    pub path: OwnedObjectPath,
    interface: OwnedObjectPath,
    /// Its id.
    pub id: String,
    /// Announced and not withdrawn.
    pub addresses: Vec<IpAddr>,
    /// Announced and not withdrawn.
    pub elements: Vec<String>,
    /// Its end was announced.
    pub gone: bool,
    /// Everything of it had been withdrawn when its end was announced, and nothing came after.
    pub was_empty_at_its_end: bool,
}

impl Pvd {
    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.id.ends_with(":ipv4")
    }
}

impl Watcher {
    /// A subscriber that nothing is announced to yet.
    pub async fn create(connection: &Connection) -> mif::Result<Self> {
        let (subscriber, messages) = Subscriber::create(connection, "demo").await?;
        let connection = connection.clone();
        Ok(Self {
            connection,
            subscriber,
            messages,
            interfaces: Vec::new(),
            pvds: Vec::new(),
            history: Vec::new(),
            history_begins: Instant::now(),
        })
    }

    /// Its bus connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Has the interfaces announced and waits for the end of the listing.
    pub async fn announce_interfaces(&mut self) -> mif::Result<()> {
        let count = self.subscriber.announce_interfaces().await?;
        self.listing(count, "the interfaces", |message| {
            matches!(message, Message::InterfaceAnnouncement { .. })
        })
        .await
    }

    /// Has the PvDs of each interface announced, and what each PvD holds.
    pub async fn announce_pvds(&mut self) -> mif::Result<()> {
        let interfaces: Vec<OwnedObjectPath> =
            self.interfaces.iter().map(|interface| interface.path.clone()).collect();
        for interface in interfaces {
            let count = self.subscriber.announce_provisioning_domains(&interface).await?;
            let is_pvd =
                |message: &Message| matches!(message, Message::ProvisioningDomainAnnouncement { .. });
            self.listing(count, "the PvDs", is_pvd).await?;
        }
        let pvds: Vec<OwnedObjectPath> = self.pvds.iter().map(|pvd| pvd.path.clone()).collect();
        for pvd in pvds {
            let count = self.subscriber.announce_configuration_elements(&pvd).await?;
            let is_element =
                |message: &Message| matches!(message, Message::ConfigurationElementAnnouncement { .. });
            self.listing(count, "the configuration elements", is_element).await?;
            let count = self.subscriber.announce_addresses(&pvd).await?;
            let is_address = |message: &Message| matches!(message, Message::AddressAnnouncement { .. });
            self.listing(count, "the addresses", is_address).await?;
        }
        Ok(())
    }

    /// The DNS servers of a PvD, whatever configured them.
    pub async fn dns_servers(&self, pvd: &Pvd) -> mif::Result<Vec<String>> {
        let value = self.subscriber.get_configuration_data(&pvd.path, "any", "dns-servers").await?;
        Ok(Vec::try_from(value).expect("dns-servers is a list of strings"))
    }

    /// The interface of this name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// The name of the link a PvD is on.
    pub fn link_of(&self, pvd: &Pvd) -> &str {
        let interface = self.interfaces.iter().find(|interface| interface.path == pvd.interface);
        &interface.expect("PvDs are announced on announced interfaces").name
    }

    /// The next message, kept account of.
    pub async fn next(&mut self, what: &str) -> mif::Result<Message> {
        let message = completes(what, self.messages.next()).await.ok_or(Error::Disconnected)??;
        self.fold(&message);
        Ok(message)
    }

    /// The next outcome of a connection.
    pub async fn next_of_connections(&mut self) -> mif::Result<Message> {
        loop {
            let message = self.next("the connections").await?;
            if matches!(message, Message::Connected { .. } | Message::NotConnected { .. }) {
                return Ok(message);
            }
        }
    }

    /// Changes since [`forget_history`](Self::forget_history), in words, each with the seconds since then.
    pub fn history(&self) -> &[String] {
        &self.history
    }

    /// Begins the history anew.
    pub fn forget_history(&mut self) {
        self.history.clear();
        self.history_begins = Instant::now();
    }

    async fn listing(
        &mut self,
        count: u32,
        what: &str,
        counts: impl Fn(&Message) -> bool,
    ) -> mif::Result<()> {
        let mut seen = 0;
        while seen < count {
            seen += u32::from(counts(&self.next(what).await?));
        }
        Ok(())
    }

    fn fold(&mut self, message: &Message) {
        match message {
            Message::InterfaceAnnouncement { interface, display_name, details } => {
                self.interfaces.push(Interface {
                    path: interface.clone(),
                    name: details.name.clone().unwrap_or_else(|| display_name.clone()),
                    kind: details.kind.as_ref().map(ToString::to_string).unwrap_or_default(),
                    gone: false,
                });
            }
            Message::NoInterfaceAnnouncement { interface } => {
                let known = self.interfaces.iter_mut().find(|known| known.path == *interface);
                let known = known.expect("only announced interfaces are spoken of");
                known.gone = true;
                let name = known.name.clone();
                self.note("NoInterfaceAnnouncement", &name, "");
            }
            Message::ProvisioningDomainAnnouncement { interface, pvd, details } => {
                let id = details.id.clone().unwrap_or_default();
                self.note("ProvisioningDomainAnnouncement", &id, "");
                self.pvds.push(Pvd {
                    path: pvd.clone(),
                    interface: interface.clone(),
                    id,
                    addresses: Vec::new(),
                    elements: Vec::new(),
                    gone: false,
                    was_empty_at_its_end: false,
                });
            }
            Message::NoProvisioningDomainAnnouncement { pvd, .. } => {
                self.change(pvd, "NoProvisioningDomainAnnouncement", "", |pvd| {
                    pvd.gone = true;
                    pvd.was_empty_at_its_end = pvd.addresses.is_empty() && pvd.elements.is_empty();
                });
            }
            other => self.fold_configuration(other),
        }
    }

    fn fold_configuration(&mut self, message: &Message) {
        match message {
            Message::ConfigurationElementAnnouncement { pvd, element } => {
                let element = element.to_string();
                self.change(pvd, "ConfigurationElementAnnouncement", &element.clone(), |pvd| {
                    pvd.elements.retain(|have| *have != element);
                    pvd.elements.push(element);
                });
            }
            Message::NoConfigurationElementAnnouncement { pvd, element } => {
                let element = element.to_string();
                self.change(pvd, "NoConfigurationElementAnnouncement", &element, |pvd| {
                    pvd.elements.retain(|have| *have != element);
                });
            }
            Message::AddressAnnouncement { pvd, address, .. } => {
                self.change(pvd, "AddressAnnouncement", &address.to_string(), |pvd| {
                    pvd.addresses.retain(|have| have != address);
                    pvd.addresses.push(*address);
                });
            }
            Message::NoAddressAnnouncement { pvd, address } => {
                self.change(pvd, "NoAddressAnnouncement", &address.to_string(), |pvd| {
                    pvd.addresses.retain(|have| have != address);
                });
            }
            _ => {}
        }
    }

    /// Applies a change to a PvD and notes it.
    fn change(&mut self, path: &OwnedObjectPath, what: &str, item: &str, apply: impl FnOnce(&mut Pvd)) {
        let pvd = self.pvds.iter_mut().find(|pvd| pvd.path == *path);
        let pvd = pvd.expect("only announced PvDs are spoken of");
        let after_its_end = pvd.gone;
        apply(pvd);
        pvd.was_empty_at_its_end &= !after_its_end;
        let id = pvd.id.clone();
        self.note(what, &id, item);
    }

    fn note(&mut self, what: &str, of: &str, item: &str) {
        let seconds = self.history_begins.elapsed().as_secs_f32();
        let line = format!("{seconds:>4.1} s  {what:<36} {of:<37} {item}");
        self.history.push(line.trim_end().to_owned());
    }
}
