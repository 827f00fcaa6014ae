//! Words in the language of the person.

use gettextrs::{gettext, ngettext};
use mif::wire::{AddressState, Element, Family, InterfaceKind, InterfaceState, TranslationSystem};
use mif::{Error, ErrorKind};

/// A translated sentence with `{name}` replaced by values.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(begin) = rest.find('{') {
        let (before, from) = rest.split_at(begin);
        text.push_str(before);
        let known = values.iter().find_map(|(name, value)| {
            let after = from.strip_prefix('{')?.strip_prefix(name)?.strip_prefix('}')?;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                text.push_str(value);
                rest = after;
            }
            None => {
                text.push('{');
                rest = &from[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// A counted sentence; `{count}` in it is the number.
pub fn counted(one: &str, many: &str, count: usize) -> String {
    let number = u32::try_from(count).unwrap_or(u32::MAX);
    fill(&ngettext(one, many, number), &[("count", &count.to_string())])
}

/// Parts of a line, as `one · two`. Empty ones are left out.
pub fn joined<I: IntoIterator<Item = S>, S: AsRef<str>>(parts: I) -> String {
    let mut line = String::new();
    for part in parts {
        if part.as_ref().is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(" · ");
        }
        line.push_str(part.as_ref());
    }
    line
}

/// A technical text (address, name, URL) for display, kept together and left to right in text of either direction
/// (U+2066, U+2069).
pub fn isolated(text: &str) -> String {
    format!("\u{2066}{text}\u{2069}")
}

/// A text without what is there for display only: what [`isolated`] put around its parts, and places to break a line.
pub fn plain(text: &str) -> String {
    text.chars().filter(|letter| !matches!(letter, '\u{2066}'..='\u{2069}' | '\u{200b}')).collect()
}

/// What kind of interface it is.
pub fn interface_kind(kind: &InterfaceKind) -> String {
    match kind {
        InterfaceKind::Ethernet => gettext("Ethernet"),
        InterfaceKind::Wifi => gettext("Wi-Fi"),
        InterfaceKind::Wwan => gettext("Mobile network"),
        InterfaceKind::Tunnel => gettext("Tunnel"),
        InterfaceKind::Bridge => gettext("Bridge"),
        InterfaceKind::Vlan => gettext("VLAN"),
        InterfaceKind::Bond => gettext("Bond"),
        InterfaceKind::Loopback => gettext("Loopback"),
        _ => gettext("Other"),
    }
}

/// How an interface is.
pub fn interface_state(state: &InterfaceState) -> String {
    match state {
        InterfaceState::Up => gettext("Connected"),
        InterfaceState::Down => gettext("Not connected"),
        InterfaceState::Dormant => gettext("Waiting for authentication"),
        other => other.to_string(),
    }
}

/// Address families.
pub fn family(family: &Family) -> String {
    match family {
        Family::Ipv4 => "IPv4".to_owned(),
        Family::Ipv6 => "IPv6".to_owned(),
        Family::Dual => gettext("IPv4 and IPv6"),
        other => other.to_string(),
    }
}

/// Where configuration comes from.
pub fn element(element: &Element) -> String {
    match element {
        Element::Ra => gettext("Router Advertisement"),
        Element::Dhcpv6 => "DHCPv6".to_owned(),
        Element::Dhcpv4 => "DHCPv4".to_owned(),
        Element::Static => gettext("set by hand"),
        Element::Vpn => "VPN".to_owned(),
        Element::LinkLocal => gettext("self-assigned"),
        Element::AdditionalInformation => gettext("additional information"),
        other => other.to_string(),
    }
}

/// How an address is.
pub fn address_state(state: &AddressState) -> String {
    match state {
        AddressState::Tentative => gettext("being checked for duplicates"),
        AddressState::Preferred => gettext("preferred"),
        AddressState::Deprecated => gettext("deprecated"),
        other => other.to_string(),
    }
}

/// What found an address.
pub fn system(system: &TranslationSystem) -> String {
    match system {
        TranslationSystem::Dns => "DNS".to_owned(),
        TranslationSystem::Hosts => gettext("host table"),
        TranslationSystem::Mdns => "mDNS".to_owned(),
        TranslationSystem::Llmnr => "LLMNR".to_owned(),
        TranslationSystem::Nis => "NIS".to_owned(),
        TranslationSystem::Literal => gettext("an address already"),
        other => other.to_string(),
    }
}

/// An error of a translation or a connection; what the service says about it where this says less.
pub fn error(error: &Error) -> String {
    let known = match error.kind() {
        Some(ErrorKind::NameNotFound) => gettext("The name does not exist here"),
        Some(ErrorKind::NoAddress) => gettext("The name has no address here"),
        Some(ErrorKind::NoNameServers) => gettext("This network has no name server"),
        Some(ErrorKind::ServerFailure) => gettext("The name server failed"),
        Some(ErrorKind::TimedOut | ErrorKind::NoReply) => gettext("No answer in time"),
        Some(ErrorKind::ConnectionRefused) => gettext("Connection refused"),
        Some(ErrorKind::HostUnreachable) => gettext("The host cannot be reached"),
        Some(ErrorKind::NetworkUnreachable) => gettext("The network cannot be reached"),
        Some(ErrorKind::PvdGone | ErrorKind::NoSuchPvd) => gettext("The network is gone"),
        Some(
            ErrorKind::NotAuthorized | ErrorKind::AccessDenied | ErrorKind::InteractiveAuthorizationRequired,
        ) => gettext("You are not allowed to connect; members of the group “mif” are"),
        Some(ErrorKind::ForeignNamespace) => gettext("The service is in another network namespace"),
        Some(ErrorKind::NotRunning) => gettext("The service is not running"),
        _ => error.to_string(),
    };
    plain(&known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_replace_their_names_once() {
        assert_eq!(fill("{a} on {b}", &[("a", "{b}"), ("b", "x")]), "{b} on x");
        assert_eq!(fill("{unknown} {", &[("a", "1")]), "{unknown} {");
        assert_eq!(counted("{count} network", "{count} networks", 1), "1 network");
        assert_eq!(counted("{count} network", "{count} networks", 0), "0 networks");
    }

    #[test]
    fn isolates_are_for_display_only() {
        let shown = fill("from {server}", &[("server", &isolated("fe80::1"))]);
        assert_ne!(shown, "from fe80::1");
        assert_eq!(plain(&shown), "from fe80::1");
    }

    #[test]
    fn empty_parts_leave_no_dot() {
        assert_eq!(joined(["a", "", "b"]), "a · b");
        assert_eq!(joined::<_, &str>([]), "");
    }
}
