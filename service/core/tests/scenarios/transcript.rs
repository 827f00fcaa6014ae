//! Batches and states as text that people can check.

use mif_core::BootTime;
use mif_core::change::{AddressChange, Change, ElementChange, PvdDelta};
use mif_core::configuration::{Configuration, Element, Prefix, PrefixData, RouteData, RouteKey};
use mif_core::engine::{Batch, Command, Notice};
use mif_core::pvd::{Interface, Pvd, PvdAddress, Serial};
use mif_core::snapshot::{Defaults, Snapshot};
use std::fmt::Display;

/// What was told, moment by moment, and what holds in the end.
pub struct Transcript {
    beginning: BootTime,
    text: String,
}

impl Transcript {
    /// Nothing was told; times are shown as seconds since `beginning`.
    pub const fn beginning(beginning: BootTime) -> Self {
        Self { beginning, text: String::new() }
    }

    /// Notes what was told at `now`.
    pub fn note(&mut self, now: BootTime, batch: &Batch) {
        let changes = batch.changes.iter().flat_map(|change| self.change(change, &batch.snapshot));
        let commands = batch.commands.iter().map(|command| match command {
            Command::Solicit { ifindex } => format!("! solicit on {ifindex}"),
            Command::Inquire { ifindex, question } => format!("! ask {:?} on {ifindex}", question.subject),
            Command::Fetch(fetch) => format!("! ask for {} of {:?}", fetch.subject.kind(), fetch.key),
            Command::CancelFetch { pvd, kind } => format!("! give up asking for {kind} of {pvd}"),
        });
        let notice = |Notice { ifindex, overflow }: &Notice| format!("! too much on {ifindex}: {overflow:?}");
        let lines: Vec<String> = changes.chain(commands).chain(batch.notices.iter().map(notice)).collect();
        if !lines.is_empty() {
            self.line(0, self.time(now));
            lines.into_iter().for_each(|line| self.line(1, line));
        }
    }

    /// The whole text, with `snapshot` as the end.
    pub fn finish(mut self, snapshot: &Snapshot) -> String {
        self.line(0, "in the end");
        for interface in snapshot.interfaces() {
            self.line(1, interface_words(interface));
            for pvd in snapshot.pvds_of(interface) {
                self.pvd(pvd);
            }
        }
        self.line(1, defaults_words(snapshot.defaults(), snapshot));
        if snapshot.startup() {
            self.line(1, "startup");
        }
        self.text
    }

    fn line(&mut self, indentation: usize, line: impl Display) {
        self.text.push_str(&"  ".repeat(indentation));
        self.text.push_str(&format!("{line}\n"));
    }

    fn time(&self, moment: BootTime) -> String {
        let micros = moment.as_micros() - self.beginning.as_micros();
        format!("{}.{:03} s", micros / 1_000_000, micros / 1000 % 1000)
    }

    fn deadline(&self, deadline: BootTime) -> String {
        if deadline == BootTime::FOREVER {
            "for ever".to_owned()
        } else {
            format!("until {}", self.time(deadline))
        }
    }

    fn change(&self, change: &Change, snapshot: &Snapshot) -> Vec<String> {
        match change {
            Change::InterfaceAdded(interface) => vec![format!("+ {}", interface_words(interface))],
            Change::InterfaceChanged { new, .. } => vec![format!("  {}", interface_words(new))],
            Change::InterfaceWithdrawn(interface) => vec![format!("- interface {}", interface.name)],
            Change::PvdAnnounced(pvd) => vec![format!("+ {} {}", pvd.family.word(), pvd.id)],
            Change::PvdWithdrawn(pvd) => vec![format!("- {} {}", pvd.family.word(), pvd.id)],
            Change::PvdChanged(delta) => self.delta(delta),
            Change::DefaultsChanged(defaults) => vec![format!("  {}", defaults_words(*defaults, snapshot))],
            Change::StartupFinished => vec!["  startup is over".to_owned()],
            // Their order is checked by the listener.
            Change::PvdsListed(_)
            | Change::PvdAdded(_)
            | Change::PvdRemoved(_)
            | Change::InterfaceRemoved(_) => Vec::new(),
        }
    }

    fn delta(&self, delta: &PvdDelta) -> Vec<String> {
        let address = |change: &AddressChange| match change {
            AddressChange::Announce(address) => format!("  + {}", self.address(address)),
            AddressChange::Withdraw(address) => format!("  - {address}"),
        };
        let element = |change: &ElementChange| match change {
            ElementChange::Announce(element) => format!("  + {}", element.word()),
            ElementChange::Withdraw(element) => format!("  - {}", element.word()),
        };
        let told = delta.addresses.iter().map(address).chain(delta.elements.iter().map(element));
        let first = format!("  {}, revision {}", delta.new.id, delta.new.revision);
        [first].into_iter().chain(told.map(|line| format!("  {line}"))).collect()
    }

    fn pvd(&mut self, pvd: &Pvd) {
        let (family, link) = (pvd.family.word(), if pvd.link_up { "" } else { ", link down" });
        self.line(2, format!("{family} {}, revision {}{link}", pvd.id, pvd.revision));
        for address in &pvd.addresses {
            self.line(3, self.address(address));
        }
        for (element, configuration) in &pvd.elements {
            self.element(*element, configuration);
        }
    }

    fn address(&self, address: &PvdAddress) -> String {
        format!(
            "{}/{} {} {}{}, preferred {}, valid {}",
            address.address,
            address.prefix_length,
            address.state.word(),
            address.element.word(),
            if address.temporary { " temporary" } else { "" },
            self.deadline(address.preferred_until),
            self.deadline(address.valid_until),
        )
    }

    fn element(&mut self, element: Element, configuration: &Configuration) {
        self.line(3, element.word());
        let lists = [
            ("dns-servers", joined(&configuration.dns_servers)),
            ("search-domains", joined(&configuration.search_domains)),
            ("domain-name", joined(configuration.domain_name.as_slice())),
            ("routers", joined(&configuration.routers)),
            ("mtu", joined(configuration.mtu.as_slice())),
            ("ntp-servers", joined(&configuration.ntp_servers)),
            ("server-identifier", joined(configuration.server_identifier.as_slice())),
        ];
        for (word, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
            self.line(4, format!("{word} {values}"));
        }
        for (key, data) in &configuration.routes {
            self.line(4, self.route(key, data));
        }
        for (prefix, data) in &configuration.prefixes {
            self.line(4, self.prefix(prefix, data));
        }
        if let Some(expires) = configuration.lease_expires {
            self.line(4, format!("lease {}", self.deadline(expires)));
        }
    }

    fn route(&self, key: &RouteKey, data: &RouteData) -> String {
        let via = key.gateway.map_or(String::new(), |gateway| format!(" via {gateway}"));
        let (preference, valid) = (data.preference.word(), self.deadline(data.valid_until));
        format!("route {}{via}, {preference} preference, {valid}", key.destination)
    }

    fn prefix(&self, prefix: &Prefix, data: &PrefixData) -> String {
        let on_link = if data.on_link { " on-link" } else { "" };
        let autonomous = if data.autonomous { " autonomous" } else { "" };
        let (preferred, valid) = (self.deadline(data.preferred_until), self.deadline(data.valid_until));
        format!("prefix {prefix}{on_link}{autonomous}, preferred {preferred}, valid {valid}")
    }
}

fn interface_words(interface: &Interface) -> String {
    let Interface { ifindex, name, display_name, kind, state, .. } = interface;
    let alias = if name == display_name { String::new() } else { format!(" \"{display_name}\"") };
    format!("interface {name}{alias} ({ifindex}, {}, {})", kind.word(), state.word())
}

fn defaults_words(defaults: Defaults, snapshot: &Snapshot) -> String {
    let id = |serial: Serial| snapshot.pvd(serial).map_or("one that goes again", |pvd| pvd.id.as_str());
    let ids: Vec<&str> = defaults.iter().map(id).collect();
    if ids.is_empty() { "no default".to_owned() } else { format!("default {}", ids.join(", ")) }
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
