//! The state as text.

use std::time::Duration;

use mif::names::feature;
use mif::wire::{AddressState, Deadline, Family, InterfaceKind, InterfaceState};
use mif::{Address, Interface, ProvisioningDomain, State};

use super::configuration::Configurations;
use super::details;
use crate::format::{self, line};
use crate::output::{Paint, Style};

/// Width of the names of values, with the space behind them.
const LABEL: usize = 11;

/// What nearly every service can do (words of `Manager.Features`), and what it means where it cannot.
pub const WORTH_A_WORD: [(&str, &str); 7] = [
    (feature::CONNECT, "connects nobody"),
    (
        feature::PVD_ROUTING,
        "leads no packets: connections only on interfaces with one PvD a family (no policy routing)",
    ),
    (feature::BIND_SOCKET, "binds no sockets of others (BindSocket)"),
    (feature::FCHOWN, "connects nobody but its own user: it cannot give sockets away (CAP_CHOWN is missing)"),
    (feature::POLKIT, "asks no polkit who may connect: root and members of the group mif may"),
    (
        feature::OWN_DHCP,
        "asks no DHCP servers where nobody tells what they say (off, or CAP_NET_BIND_SERVICE is missing)",
    ),
    (feature::ROUTER_ADVERTISEMENTS, "hears no routers: the kernel is without IPv6"),
];

/// The whole text. `now` is CLOCK_BOOTTIME.
pub fn render(state: &State, configurations: &Configurations, now: Duration, paint: Paint) -> String {
    let mut text = String::new();
    if state.startup {
        let notice = "The service has just started and is still asking the networks: more may come.";
        line(&mut text, &paint.paint(Style::Notice, notice));
        text.push('\n');
    }
    let tree = Tree { state, configurations, now, paint };
    for interface in tree.in_reading_order() {
        tree.interface(&mut text, interface);
    }
    text.push_str(closing_words(state));
    shortcomings(&mut text, state, paint);
    text
}

/// What this service cannot do on this machine and others can.
fn shortcomings(text: &mut String, state: &State, paint: Paint) {
    let lacking = WORTH_A_WORD.iter().filter(|(word, _)| !state.features.iter().any(|it| it == word));
    for (index, (_, meaning)) in lacking.enumerate() {
        if index == 0 {
            text.push('\n');
        }
        line(text, &paint.paint(Style::Notice, &format!("The service {meaning}.")));
    }
}

/// What is missing, if anything, after the tree.
fn closing_words(state: &State) -> &'static str {
    if state.interfaces.is_empty() {
        "No network interface.\n"
    } else if state.pvds().next().is_none() {
        "\nNo provisioning domain: this machine is on no network now.\n"
    } else if state.default_pvds.is_empty() {
        "\nNo default: programs that know nothing of PvDs reach only what is on their own links.\n"
    } else {
        ""
    }
}

struct Tree<'a> {
    state: &'a State,
    configurations: &'a Configurations,
    now: Duration,
    paint: Paint,
}

impl Tree<'_> {
    /// Loopback never has a PvD; it comes last.
    fn in_reading_order(&self) -> Vec<&Interface> {
        let (loopback, others): (Vec<_>, Vec<_>) =
            self.state.interfaces.iter().partition(|interface| interface.kind == InterfaceKind::Loopback);
        others.into_iter().chain(loopback).collect()
    }

    fn interface(&self, text: &mut String, interface: &Interface) {
        if !text.is_empty() && !text.ends_with("\n\n") {
            text.push('\n');
        }
        let name = self.paint.paint(Style::Name, &interface.name);
        let alias = match interface.display_name == interface.name {
            true => String::new(),
            false => format!(" ({})", interface.display_name),
        };
        let state = match interface.state {
            InterfaceState::Up => self.paint.paint(Style::Good, "up"),
            InterfaceState::Down => self.paint.paint(Style::Bad, "down"),
            ref other => self.paint.paint(Style::Notice, other.as_str()),
        };
        line(text, &format!("{name}{alias}  {}, {state}", interface.kind));
        for pvd in &interface.pvds {
            self.pvd(text, pvd);
        }
    }

    fn pvd(&self, text: &mut String, pvd: &ProvisioningDomain) {
        let id = self.paint.paint(Style::Name, &pvd.id);
        line(text, &format!("  {id}  {}{}", format::family(&pvd.family), self.default_mark(pvd)));
        let elements = match joined(&pvd.elements) {
            none if none.is_empty() => String::new(),
            elements => format!(", from {elements}"),
        };
        self.value(text, "origin", &format!("{}{elements}", pvd.origin));
        self.addresses(text, &pvd.addresses);
        for (label, value) in [
            ("DNS", joined(&pvd.dns_servers)),
            ("search", joined(&pvd.search_domains)),
            ("routers", joined(&pvd.routers)),
        ] {
            self.value(text, label, if value.is_empty() { "none" } else { &value });
        }
        for (label, value) in
            self.configurations.of(pvd).into_iter().flat_map(|it| details::lines(it, self.now))
        {
            self.value(text, label, &value);
        }
    }

    /// `, default`, for what programs use that know nothing of PvDs.
    fn default_mark(&self, pvd: &ProvisioningDomain) -> String {
        if !self.state.is_default(pvd) {
            return String::new();
        }
        let taken = |family: Family| {
            self.state.pvds().any(|other| other.family == family && self.state.is_default(other))
        };
        let only = match pvd.family {
            Family::Dual if taken(Family::Ipv4) => " for IPv6",
            Family::Dual if taken(Family::Ipv6) => " for IPv4",
            _ => "",
        };
        format!(", {}{only}", self.paint.paint(Style::Good, "default"))
    }

    /// One line each, with the lifetimes in a column.
    fn addresses(&self, text: &mut String, addresses: &[Address]) {
        let shown: Vec<String> =
            addresses.iter().map(|it| format!("{}/{}", it.address, it.prefix_length)).collect();
        let width = shown.iter().map(String::len).max().unwrap_or_default();
        for (index, (address, shown)) in addresses.iter().zip(&shown).enumerate() {
            let label = if index == 0 { "addresses" } else { "" };
            self.value(text, label, &format!("{shown:width$}  {}", self.address_notes(address)));
        }
        if addresses.is_empty() {
            self.value(text, "addresses", "none");
        }
    }

    fn address_notes(&self, address: &Address) -> String {
        let temporary = if address.temporary { "temporary, " } else { "" };
        let state = match address.state {
            AddressState::Preferred => address.state.to_string(),
            ref other => self.paint.paint(Style::Notice, other.as_str()),
        };
        let times = match (&address.state, address.preferred_until, address.valid_until) {
            (AddressState::Preferred, Deadline::Never, Deadline::Never) => " for ever".to_owned(),
            (AddressState::Preferred, preferred, valid) if preferred != valid => {
                format!(" {}, valid {}", format::lasts(preferred, self.now), format::lasts(valid, self.now))
            }
            (_, _, valid) => format!(", valid {}", format::lasts(valid, self.now)),
        };
        format!("{temporary}{state}{}", self.paint.paint(Style::Faint, &times))
    }

    fn value(&self, text: &mut String, label: &str, value: &str) {
        let label = self.paint.paint(Style::Faint, &format!("{label:LABEL$}"));
        line(text, &format!("    {label}{value}"));
    }
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::status::samples;

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn two_isps() {
        let state = samples::two_isps();
        let text = render(&state, &samples::configurations(&state), NOW, Paint::PLAIN);
        assert_eq!(text, include_str!("two_isps.txt"), "\n{text}");
    }

    #[test]
    fn what_the_service_cannot_do_here_is_said() {
        let mut state = samples::two_isps();
        state.features.retain(|word| word != "pvd-routing" && word != "polkit");
        let text = render(&state, &Configurations::default(), NOW, Paint::PLAIN);
        let (_, end) = text.split_once("lo  loopback, up\n").unwrap();
        assert_eq!(
            end,
            "\nThe service leads no packets: connections only on interfaces with one PvD a family (no policy \
             routing).\nThe service asks no polkit who may connect: root and members of the group mif may.\n"
        );
    }

    #[test]
    fn a_machine_without_networks_is_told_in_words() {
        let empty = State { features: samples::two_isps().features, ..State::default() };
        assert_eq!(render(&empty, &Configurations::default(), NOW, Paint::PLAIN), "No network interface.\n");

        let mut state = samples::two_isps();
        state.interfaces.retain(|interface| interface.name == "lo");
        state.default_pvds.clear();
        let text = render(&state, &Configurations::default(), NOW, Paint::PLAIN);
        assert!(text.ends_with("No provisioning domain: this machine is on no network now.\n"), "{text}");
    }

    #[test]
    fn startup_and_a_missing_default_are_said() {
        let mut state = samples::two_isps();
        state.startup = true;
        state.default_pvds.clear();
        let text = render(&state, &Configurations::default(), NOW, Paint::PLAIN);
        assert!(text.starts_with("The service has just started"), "{text}");
        assert!(text.contains("No default:"), "{text}");
    }
}
