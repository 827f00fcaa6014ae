//! Names of the contract: bus name, paths, interfaces, limits.

/// The well-known name of the service.
pub const BUS_NAME: &str = "org.ietf.Mif1";
/// The root object: Manager and ObjectManager.
pub const ROOT_PATH: &str = "/org/ietf/Mif1";
/// Objects of [`INTERFACE_INTERFACE`] are `<this>/<serial>`.
pub const INTERFACE_PATH_PREFIX: &str = "/org/ietf/Mif1/interface";
/// Objects of [`PVD_INTERFACE`] are `<this>/<serial>`.
pub const PVD_PATH_PREFIX: &str = "/org/ietf/Mif1/pvd";
/// Subscribers are `<this>/<sender>/<token>`, see [`subscriber_path`].
pub const SUBSCRIBER_PATH_PREFIX: &str = "/org/ietf/Mif1Subscriber";

/// Interface of the root object.
pub const MANAGER_INTERFACE: &str = "org.ietf.Mif1.Manager";
/// Interface of the root object: what the service does over several PvDs.
pub const HIGH_LEVEL_INTERFACE: &str = "org.ietf.Mif1.HighLevel";
/// Interface of a network interface.
pub const INTERFACE_INTERFACE: &str = "org.ietf.Mif1.Interface";
/// Interface of a provisioning domain.
pub const PVD_INTERFACE: &str = "org.ietf.Mif1.ProvisioningDomain";
/// Interface of a subscriber.
pub const SUBSCRIBER_INTERFACE: &str = "org.ietf.Mif1.Subscriber";

/// What the names of the service's own errors begin with.
pub const ERROR_PREFIX: &str = "org.ietf.Mif1.Error.";
/// What the names of the standard errors begin with.
pub const STANDARD_ERROR_PREFIX: &str = "org.freedesktop.DBus.Error.";

/// A deadline at or above this never comes (CLOCK_BOOTTIME microseconds).
pub const FOR_EVER: u64 = 1 << 63;

/// Element word of GetConfigurationData: the value the service itself uses.
pub const ANY_ELEMENT: &str = "any";

/// Keys of `Manager.Limits`.
pub mod limits {
    /// Subscribers of one unique name.
    pub const SUBSCRIBERS_PER_CLIENT: &str = "subscribers-per-client";
    /// Subscribers of one user; uid 0 has no such limit.
    pub const SUBSCRIBERS_PER_USER: &str = "subscribers-per-user";
    /// Outstanding translations of one unique name.
    pub const TRANSLATIONS_PER_CLIENT: &str = "translations-per-client";
    /// Outstanding translations of one user.
    pub const TRANSLATIONS_PER_USER: &str = "translations-per-user";
    /// Connections of one unique name, pending and unclaimed together.
    pub const CONNECTIONS_PER_CLIENT: &str = "connections-per-client";
    /// Connections of one user, pending and unclaimed together.
    pub const CONNECTIONS_PER_USER: &str = "connections-per-user";
    /// Requests of one subscriber accepted and not yet answered.
    pub const REQUESTS_PER_SUBSCRIBER: &str = "requests-per-subscriber";
    /// Addresses in the answer to one translation.
    pub const ADDRESSES_PER_TRANSLATION: &str = "addresses-per-translation";
    /// Bytes of a name to translate or to connect to, and of each selector of ConnectToName.
    pub const NAME_LENGTH: &str = "name-length";
    /// Milliseconds until a connected socket that nobody takes is closed.
    pub const UNCLAIMED_TIMEOUT: &str = "unclaimed-timeout";
    /// Objects under the root.
    pub const OBJECTS: &str = "objects";
    /// PvDs of one interface.
    pub const PVDS_PER_INTERFACE: &str = "pvds-per-interface";
    /// Addresses of one PvD.
    pub const ADDRESSES_PER_PVD: &str = "addresses-per-pvd";
    /// DNS servers of one PvD.
    pub const SERVERS_PER_PVD: &str = "servers-per-pvd";
    /// Search domains of one PvD.
    pub const DOMAINS_PER_PVD: &str = "domains-per-pvd";
    /// Default routers of one PvD.
    pub const ROUTERS_PER_PVD: &str = "routers-per-pvd";
}

/// Words of `Manager.Features`: what the running service can do. The XML file says when it cannot.
pub mod feature {
    /// ConnectToAddress and ConnectToName.
    pub const CONNECT: &str = "connect";
    /// BindSocket.
    pub const BIND_SOCKET: &str = "bind-socket";
    /// Packets leave by the PvD's own router, also where several share an interface.
    pub const PVD_ROUTING: &str = "pvd-routing";
    /// PvDs of RFC 8801.
    pub const EXPLICIT_PVD: &str = "explicit-pvd";
    /// The option `protocol` may be `mptcp`.
    pub const MPTCP: &str = "mptcp";
    /// Sockets belong to the caller's uid.
    pub const FCHOWN: &str = "fchown";
    /// polkit decides who may connect; else root and the group `mif` may.
    pub const POLKIT: &str = "polkit";
    /// DHCP servers are asked where nobody else tells what they say (RFC 2131 4.4.3, RFC 8415 18.2.6).
    pub const OWN_DHCP: &str = "own-dhcp";
    /// Names are asked by multicast DNS (RFC 6762).
    pub const MDNS: &str = "mdns";
    /// Names are asked by LLMNR (RFC 4795).
    pub const LLMNR: &str = "llmnr";
    /// Names are asked of NIS servers.
    pub const NIS: &str = "nis";
    /// DNS over TLS (RFC 7858).
    pub const DOT: &str = "dot";
    /// DNS over HTTPS (RFC 8484).
    pub const DOH: &str = "doh";
    /// DNS over QUIC (RFC 9250).
    pub const DOQ: &str = "doq";
    /// Router Advertisements are heard; not where the kernel is without IPv6.
    pub const ROUTER_ADVERTISEMENTS: &str = "router-advertisements";

    /// All words of this version, in the order of the XML file. A later service may have more.
    pub const ALL: [&str; 15] = [
        CONNECT,
        BIND_SOCKET,
        PVD_ROUTING,
        EXPLICIT_PVD,
        MPTCP,
        FCHOWN,
        POLKIT,
        OWN_DHCP,
        MDNS,
        LLMNR,
        NIS,
        DOT,
        DOH,
        DOQ,
        ROUTER_ADVERTISEMENTS,
    ];
}

/// Identifiers of GetConfigurationData (draft 3.5.15); the type of each value is in the contract.
pub mod identifier {
    /// `as`
    pub const DNS_SERVERS: &str = "dns-servers";
    /// `as`
    pub const SEARCH_DOMAINS: &str = "search-domains";
    /// `s`
    pub const DOMAIN_NAME: &str = "domain-name";
    /// `as`
    pub const ROUTERS: &str = "routers";
    /// `aa{sv}`
    pub const ROUTES: &str = "routes";
    /// `aa{sv}`
    pub const PREFIXES: &str = "prefixes";
    /// `u`
    pub const MTU: &str = "mtu";
    /// `as`
    pub const NTP_SERVERS: &str = "ntp-servers";
    /// `as`
    pub const NIS_SERVERS: &str = "nis-servers";
    /// `s`
    pub const NIS_DOMAIN: &str = "nis-domain";
    /// `s`: the URI of RFC 8910
    pub const CAPTIVE_PORTAL: &str = "captive-portal";
    /// `b`: RFC 8908
    pub const CAPTIVE: &str = "captive";
    /// `s`: RFC 8908
    pub const CAPTIVE_PORTAL_URL: &str = "captive-portal-url";
    /// `t`: RFC 8908
    pub const CAPTIVE_EXPIRES: &str = "captive-expires";
    /// `as`
    pub const PREF64: &str = "pref64";
    /// `aa{sv}`
    pub const ENCRYPTED_DNS: &str = "encrypted-dns";
    /// `s`
    pub const SERVER_IDENTIFIER: &str = "server-identifier";
    /// `t`
    pub const LEASE_EXPIRES: &str = "lease-expires";
    /// `q`: RFC 8801
    pub const PVD_OPTION_SEQUENCE: &str = "pvd-option-sequence";
    /// `as`: RFC 8801
    pub const PVD_OPTION_FLAGS: &str = "pvd-option-flags";
    /// `s`: the checked JSON of RFC 8801
    pub const ADDITIONAL_INFORMATION: &str = "additional-information";
    /// `t`
    pub const ADDITIONAL_INFORMATION_EXPIRES: &str = "additional-information-expires";
    /// `as`
    pub const DNS_ZONES: &str = "dns-zones";
    /// `b`
    pub const NO_INTERNET: &str = "no-internet";
    /// `b`: the PvD is in use on an interface whose reverse path filter is strict
    pub const STRICT_REVERSE_PATH: &str = "strict-reverse-path";
    /// `s`: the program that told
    pub const TOLD_BY: &str = "told-by";
    /// `aa{sv}`: RFC 9704
    pub const SPLIT_DNS_CLAIMS: &str = "split-dns-claims";
}

/// The path of the subscriber that the owner of `unique_name` makes with `token`. It may be called before
/// CreateSubscriber has replied (ordering rule O1).
#[must_use]
pub fn subscriber_path(unique_name: &str, token: &str) -> String {
    let sender = unique_name.trim_start_matches(':').replace('.', "_");
    format!("{SUBSCRIBER_PATH_PREFIX}/{sender}/{token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriber_path_spells_the_unique_name_as_a_path_element() {
        assert_eq!(subscriber_path(":1.42", "main"), "/org/ietf/Mif1Subscriber/1_42/main");
    }
}
