//! Whether a provisioning domain can be used, in words, a symbol and a style.

use gettextrs::gettext;
use mif::names::identifier;
use mif::wire::{AddressState, Element, InterfaceState};
use mif::{Interface, ProvisioningDomain};
use serde_json::Value;

use super::Values;

/// How a provisioning domain is: the first of these that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Its interface is down, or waits for authentication.
    Disconnected,
    /// A captive portal wants a person to sign in.
    Captive,
    /// No address that could be used, yet.
    NoAddress,
    /// The network says that it does not lead to the Internet.
    NoInternet,
    /// Only addresses that the machine gave itself.
    LocalOnly,
    /// Addresses, and nobody to ask for names.
    NoNameServers,
    /// Everything that it takes.
    Ready,
}

impl Condition {
    /// Of a provisioning domain on `interface` with these configuration values.
    pub fn of(pvd: &ProvisioningDomain, interface: Option<&Interface>, values: &Values) -> Self {
        let is = |identifier| values.get(identifier).and_then(Value::as_bool) == Some(true);
        if interface.is_some_and(|interface| interface.state != InterfaceState::Up) {
            Self::Disconnected
        } else if is(identifier::CAPTIVE) {
            Self::Captive
        } else if pvd.addresses.iter().all(|address| address.state == AddressState::Tentative) {
            Self::NoAddress
        } else if is(identifier::NO_INTERNET) {
            Self::NoInternet
        } else if pvd.elements == [Element::LinkLocal] {
            Self::LocalOnly
        } else if pvd.dns_servers.is_empty() {
            Self::NoNameServers
        } else {
            Self::Ready
        }
    }

    /// In words.
    pub fn words(self) -> String {
        match self {
            Self::Disconnected => gettext("Not connected"),
            Self::Captive => gettext("Sign-in needed"),
            Self::NoAddress => gettext("No address yet"),
            Self::NoInternet => gettext("No Internet"),
            Self::LocalOnly => gettext("Local network only"),
            Self::NoNameServers => gettext("No name servers"),
            Self::Ready => gettext("Ready"),
        }
    }

    /// A symbol of its own, so that colour is not needed.
    pub const fn icon(self) -> &'static str {
        match self {
            Self::Disconnected => "network-offline-symbolic",
            Self::Captive => "dialog-password-symbolic",
            Self::NoAddress => "content-loading-symbolic",
            Self::NoInternet => "network-no-route-symbolic",
            Self::LocalOnly => "network-workgroup-symbolic",
            Self::NoNameServers => "dialog-question-symbolic",
            Self::Ready => "emblem-ok-symbolic",
        }
    }

    /// The style class of the symbol.
    pub const fn style(self) -> &'static str {
        match self {
            Self::Disconnected => "error",
            Self::Captive | Self::NoInternet | Self::NoNameServers => "warning",
            Self::NoAddress | Self::LocalOnly => "dim-label",
            Self::Ready => "success",
        }
    }

    /// All style classes that [`Self::style`] may be.
    pub const STYLES: [&'static str; 4] = ["error", "warning", "dim-label", "success"];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::{interface, pvd, values};
    use serde_json::json;

    #[test]
    fn the_worst_that_holds_is_told() {
        let up = interface("eth1");
        let mut ready = pvd("isp.example");
        let nothing = Values::new();
        assert_eq!(Condition::of(&ready, Some(&up), &nothing), Condition::Ready);
        let captive = values(json!({"captive": true, "no-internet": true}));
        assert_eq!(Condition::of(&ready, Some(&up), &captive), Condition::Captive);
        let walled = values(json!({"captive": false, "no-internet": true}));
        assert_eq!(Condition::of(&ready, Some(&up), &walled), Condition::NoInternet);

        let down = Interface { state: InterfaceState::Down, ..up.clone() };
        assert_eq!(Condition::of(&ready, Some(&down), &captive), Condition::Disconnected);

        ready.dns_servers.clear();
        assert_eq!(Condition::of(&ready, Some(&up), &nothing), Condition::NoNameServers);
        ready.elements = vec![Element::LinkLocal];
        assert_eq!(Condition::of(&ready, Some(&up), &nothing), Condition::LocalOnly);
        for address in &mut ready.addresses {
            address.state = AddressState::Tentative;
        }
        assert_eq!(Condition::of(&ready, Some(&up), &nothing), Condition::NoAddress);
    }

    #[test]
    fn every_condition_has_words_and_a_symbol_of_its_own() {
        use Condition::{Captive, Disconnected, LocalOnly, NoAddress, NoInternet, NoNameServers, Ready};
        use std::collections::BTreeSet;
        let all = [Disconnected, Captive, NoAddress, NoInternet, LocalOnly, NoNameServers, Ready];
        assert_eq!(all.iter().map(|it| it.words()).collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|it| it.icon()).collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|it| Condition::STYLES.contains(&it.style())));
    }
}
