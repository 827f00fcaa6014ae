//! The enumerations of the contract. On the bus they are strings.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zbus::{Signature, Type};

/// An enumeration of the contract: known words, and any other word kept as it came.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
            /// A word that this version does not know, as it came.
            Other(String),
        }

        impl $name {
            /// The word on the bus.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl Type for $name {
            const SIGNATURE: &'static Signature = <str as Type>::SIGNATURE;
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                String::deserialize(deserializer).map(|word| Self::from(word.as_str()))
            }
        }
    };
}

words! {
    /// Kind of an interface.
    InterfaceKind {
        /// Ethernet.
        Ethernet = "ethernet",
        /// Wireless LAN.
        Wifi = "wifi",
        /// Mobile network.
        Wwan = "wwan",
        /// Tunnel, VPN.
        Tunnel = "tunnel",
        /// Bridge.
        Bridge = "bridge",
        /// VLAN on another interface.
        Vlan = "vlan",
        /// Bond of other interfaces.
        Bond = "bond",
        /// Loopback.
        Loopback = "loopback",
    }
}

words! {
    /// State of an interface.
    InterfaceState {
        /// Up, with carrier.
        Up = "up",
        /// Down, or without carrier.
        Down = "down",
        /// Waiting for an event outside, such as authentication.
        Dormant = "dormant",
    }
}

words! {
    /// Origin of a PvD.
    Origin {
        /// Named by a PvD option (RFC 8801).
        Explicit = "explicit",
        /// Made up from what a link was configured with.
        Implicit = "implicit",
    }
}

words! {
    /// Address families of a PvD.
    Family {
        /// IPv4 only.
        Ipv4 = "ipv4",
        /// IPv6 only.
        Ipv6 = "ipv6",
        /// Both.
        Dual = "dual",
    }
}

impl Family {
    /// Whether a PvD of this family can have such an address.
    #[must_use]
    pub fn includes(&self, address: IpAddr) -> bool {
        match self {
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
            Self::Dual => true,
            Self::Other(_) => false,
        }
    }
}

words! {
    /// Configuration element: where configuration comes from (draft 3.5.10).
    Element {
        /// Router Advertisement.
        Ra = "ra",
        /// DHCPv6.
        Dhcpv6 = "dhcpv6",
        /// DHCPv4.
        Dhcpv4 = "dhcpv4",
        /// Configured by hand.
        Static = "static",
        /// VPN.
        Vpn = "vpn",
        /// IPv4 link-local (RFC 3927).
        LinkLocal = "link-local",
        /// Additional Information of RFC 8801.
        AdditionalInformation = "additional-information",
    }
}

impl Element {
    /// The word of GetConfigurationData for what the service itself uses, wherever it came from.
    #[must_use]
    pub fn any() -> Self {
        Self::from(crate::names::ANY_ELEMENT)
    }
}

words! {
    /// Why a subscriber is closed.
    ClosedReason {
        /// By its own Close.
        Requested = "requested",
        /// The bus dropped a message (ordering rule O8): make a new subscriber and list again.
        Overrun = "overrun",
        /// The service stops.
        Shutdown = "shutdown",
        /// Said by this library: the service left the bus without a word.
        ServiceGone = "service-gone",
        /// Said by this library: the bus closed the connection, or it broke.
        BusLost = "bus-lost",
        /// Said by this library: its own queue is full, because the program does not read.
        Unread = "unread",
    }
}

words! {
    /// State of an address.
    AddressState {
        /// Duplicate address detection is under way: not usable yet.
        Tentative = "tentative",
        /// Usable, also for new connections.
        Preferred = "preferred",
        /// Usable by what uses it, not for new connections.
        Deprecated = "deprecated",
    }
}

words! {
    /// Translation system: what a name was translated by (draft 3.5.16).
    TranslationSystem {
        /// Domain Name System.
        Dns = "dns",
        /// The local host table.
        Hosts = "hosts",
        /// Multicast DNS.
        Mdns = "mdns",
        /// LLMNR.
        Llmnr = "llmnr",
        /// NIS.
        Nis = "nis",
        /// The name was an address.
        Literal = "literal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_kept() {
        assert_eq!(InterfaceKind::from("wifi"), InterfaceKind::Wifi);
        assert_eq!(InterfaceKind::from("other"), InterfaceKind::Other("other".into()));
        assert_eq!(Element::from("carrier-pigeon").to_string(), "carrier-pigeon");
    }

    #[test]
    fn a_family_says_which_addresses_it_has() {
        let (v4, v6) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]));
        let cases = [
            (Family::Ipv4, true, false),
            (Family::Ipv6, false, true),
            (Family::Dual, true, true),
            (Family::from("ipv8"), false, false),
        ];
        for (family, has_v4, has_v6) in cases {
            assert_eq!((family.includes(v4), family.includes(v6)), (has_v4, has_v6), "{family}");
        }
    }
}
