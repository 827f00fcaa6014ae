//! A host whose kernel, routers and DHCP client say what a test makes them say.

use super::at;
use super::event::{LO, link};
use super::listener::Listener;
use mif_core::BootTime;
use mif_core::change::{AddressChange, Change, ElementChange};
use mif_core::configuration::{Configuration, Element};
use mif_core::engine::{Batch, Command, Engine, Settings};
use mif_core::event::{Event, LinkState};
use mif_core::facts::InquiryPolicy;
use mif_core::fetch::FetchPolicy;
use mif_core::pvd::{Interface, Pvd};
use mif_core::snapshot::Snapshot;
use std::sync::Arc;
use std::time::Duration;

/// How engines of tests are made: the grace of the D-Bus contract.
pub const SETTINGS: Settings = Settings {
    grace: Duration::from_secs(2),
    first_serial: 1,
    fetches: FetchPolicy { additional_information: true, captive_portal: true },
    inquiries: InquiryPolicy::ALL,
    seed: 1,
};

/// An engine, the time, and a [`Listener`] who hears everything and panics at what is out of order.
#[derive(Debug)]
pub struct Host {
    engine: Engine,
    listener: Listener,
    now: BootTime,
    last: Batch,
    commands: Vec<Command>,
}

impl Host {
    /// 1000 s after boot, the first dump not complete yet.
    pub fn starting() -> Self {
        Self::starting_with(Engine::new(SETTINGS))
    }

    /// [`Host::started`] with another engine.
    pub fn of(engine: Engine) -> Self {
        let mut host = Self::starting_with(engine);
        host.see([Event::Link(link(LO, LinkState::Up)), Event::ResyncEnd]);
        host
    }

    fn starting_with(engine: Engine) -> Self {
        Self {
            engine,
            listener: Listener::new(),
            now: at(1000),
            last: Batch::default(),
            commands: Vec::new(),
        }
    }

    /// The time.
    pub const fn now(&self) -> BootTime {
        self.now
    }

    /// 1000 s after boot; the first dump showed the loopback link only.
    pub fn started() -> Self {
        Self::of(Engine::new(SETTINGS))
    }

    /// The same where DHCP servers may be asked for this only.
    pub fn asking_for(inquiries: InquiryPolicy) -> Self {
        Self::of(Engine::new(Settings { inquiries, ..SETTINGS }))
    }

    /// Shows events to the engine, all at once, and derives what comes of them.
    pub fn see<E: Into<Event>>(&mut self, events: impl IntoIterator<Item = E>) -> &Batch {
        for event in events {
            self.engine.handle_event(self.now, event.into());
        }
        self.commit()
    }

    /// Lets time pass, waking the engine whenever it asked for it.
    pub fn wait(&mut self, seconds: u64) {
        let until = self.now.after(Duration::from_secs(seconds));
        while let Some(wake) = self.engine.next_timeout().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.engine.handle_timeout(self.now);
            self.commit();
            let next = self.engine.next_timeout();
            assert!(next.is_none_or(|next| next > self.now), "due again at once: {next:?}");
        }
        self.now = until;
    }

    /// Lets time pass with nothing running, as when the machine is suspended.
    pub fn suspend(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    /// The moment in `seconds` from now.
    pub fn within(&self, seconds: u64) -> BootTime {
        self.now.after(Duration::from_secs(seconds))
    }

    /// What came of the last events.
    pub const fn last(&self) -> &Batch {
        &self.last
    }

    /// Everything that the engine ever wanted done.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// The state now.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.last.snapshot
    }

    /// The engine, to look at.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The Ids of all provisioning domains, in ascending order.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.snapshot().pvds().map(|pvd| pvd.id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    /// The one provisioning domain of this Id.
    pub fn pvd(&self, id: &str) -> &Arc<Pvd> {
        let mut found = self.snapshot().pvds_by_id(id);
        let pvd = found.next().unwrap_or_else(|| panic!("no {id} among {:?}", self.ids()));
        assert!(found.next().is_none(), "several {id}");
        pvd
    }

    /// The interface of this name.
    pub fn interface(&self, name: &str) -> &Arc<Interface> {
        self.snapshot().interface_by_name(name).expect(name)
    }

    /// What `element` gave in the provisioning domain of this Id.
    pub fn gave(&self, id: &str, element: Element) -> &Configuration {
        let pvd = self.pvd(id);
        pvd.elements.get(&element).unwrap_or_else(|| panic!("{id} has only {:?}", pvd.elements.keys()))
    }

    /// The elements of the provisioning domain of this Id, as the D-Bus contract calls them.
    pub fn elements(&self, id: &str) -> Vec<&str> {
        self.pvd(id).elements.keys().map(|element| element.word()).collect()
    }

    /// Its addresses: `192.0.2.5/24 preferred dhcpv4`, ascending.
    pub fn addresses(&self, id: &str) -> Vec<String> {
        let words = |address: &mif_core::pvd::PvdAddress| {
            let (state, element) = (address.state.word(), address.element.word());
            let temporary = if address.temporary { " temporary" } else { "" };
            format!("{}/{} {state} {element}{temporary}", address.address, address.prefix_length)
        };
        self.pvd(id).addresses.iter().map(words).collect()
    }

    /// The Ids that programs without provisioning domains use, IPv4 first.
    pub fn defaults(&self) -> Vec<&str> {
        let snapshot = self.snapshot();
        let id = |serial| snapshot.pvd(serial).expect("a default exists").id.as_str();
        snapshot.defaults().iter().map(id).collect()
    }

    /// The last changes as announcements: `+implicit:eth0:ipv4`, `+192.0.2.5`, `-dhcpv4` ...
    pub fn announcements(&self) -> Vec<String> {
        self.last.changes.iter().flat_map(announcements_of).collect()
    }

    fn commit(&mut self) -> &Batch {
        self.last = self.engine.commit(self.now);
        self.listener.hear(&self.last);
        self.commands.extend(self.last.commands.iter().cloned());
        &self.last
    }
}

fn announcements_of(change: &Change) -> Vec<String> {
    match change {
        Change::InterfaceAdded(interface) => vec![format!("+{}", interface.name)],
        Change::InterfaceWithdrawn(interface) => vec![format!("-{}", interface.name)],
        Change::PvdAnnounced(pvd) => vec![format!("+{}", pvd.id)],
        Change::PvdWithdrawn(pvd) => vec![format!("-{}", pvd.id)],
        Change::PvdChanged(delta) => {
            let address = |change: &AddressChange| match change {
                AddressChange::Announce(address) => format!("+{}", address.address),
                AddressChange::Withdraw(address) => format!("-{address}"),
            };
            let element = |change: &ElementChange| match change {
                ElementChange::Announce(element) => format!("+{}", element.word()),
                ElementChange::Withdraw(element) => format!("-{}", element.word()),
            };
            delta.addresses.iter().map(address).chain(delta.elements.iter().map(element)).collect()
        }
        Change::InterfaceChanged { .. }
        | Change::PvdsListed(_)
        | Change::PvdAdded(_)
        | Change::PvdRemoved(_)
        | Change::InterfaceRemoved(_)
        | Change::DefaultsChanged(_)
        | Change::StartupFinished => Vec::new(),
    }
}
