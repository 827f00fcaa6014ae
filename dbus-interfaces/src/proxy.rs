//! The members of the contract one to one, as zbus proxies. Their documentation is in the XML
//! ([`crate::introspection`]).
//!
//! Properties are cached by the proxies as zbus does it; `State::read` is one call and needs no cache.
//! Unicast signals of a subscriber need no match rule: read them with [`crate::Subscriber`], which keeps
//! them in order with each other, rather than with one stream per signal.

use std::collections::HashMap;

use zbus::{ObjectPath, OwnedFd, OwnedObjectPath, OwnedVariant, Result};

use crate::wire::{
    AnswerDetails, BindSocketOptions, BindingDetails, ConnectToAddressOptions, ConnectToNameOptions,
    ConnectionDetails, ExplainOptions, ExplanationDetails, FailureDetails, InterfaceDetails,
    NameConnectionDetails, PvdDetails, SubscriberOptions, TranslateNameOptions, TranslationDetails,
};

pub use zbus::fdo::ObjectManagerProxy;

/// `org.ietf.Mif1.Manager`, the root object.
#[zbus::proxy(
    interface = "org.ietf.Mif1.Manager",
    default_service = "org.ietf.Mif1",
    default_path = "/org/ietf/Mif1"
)]
pub trait Manager {
    /// Makes a subscriber and returns its path.
    fn create_subscriber(&self, token: &str, options: &SubscriberOptions) -> Result<OwnedObjectPath>;
    /// The interface of this kernel index.
    fn get_interface_by_index(&self, ifindex: u32) -> Result<OwnedObjectPath>;
    /// The interface of this name.
    fn get_interface_by_name(&self, name: &str) -> Result<OwnedObjectPath>;
    /// The PvDs of this Id, one for each link; none is no error.
    fn get_provisioning_domains_by_id(&self, id: &str) -> Result<Vec<OwnedObjectPath>>;
    /// The PvDs that have this source address.
    fn get_provisioning_domains_by_address(&self, address: &str) -> Result<Vec<OwnedObjectPath>>;
    /// What a program that knows nothing of PvDs uses.
    #[zbus(property)]
    fn default_provisioning_domains(&self) -> Result<Vec<OwnedObjectPath>>;
    /// Links that were up at start are not settled yet.
    #[zbus(property)]
    fn startup(&self) -> Result<bool>;
    /// 1 for the first release.
    #[zbus(property(emits_changed_signal = "const"))]
    fn interface_version(&self) -> Result<u32>;
    /// Version of the package.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> Result<String>;
    /// What this instance can do.
    #[zbus(property(emits_changed_signal = "const"))]
    fn features(&self) -> Result<Vec<String>>;
    /// Limits, by the keys of [`crate::names::limits`].
    #[zbus(property(emits_changed_signal = "const"))]
    fn limits(&self) -> Result<HashMap<String, u32>>;
    /// Inode of the service's network namespace.
    #[zbus(property(emits_changed_signal = "const"))]
    fn namespace_id(&self) -> Result<u64>;
}

/// `org.ietf.Mif1.HighLevel`, on the root object.
#[zbus::proxy(
    interface = "org.ietf.Mif1.HighLevel",
    default_service = "org.ietf.Mif1",
    default_path = "/org/ietf/Mif1"
)]
pub trait HighLevel {
    /// A TCP connection to a name, in whichever PvD leads there first.
    fn connect_to_name(
        &self,
        name: &str,
        port: u16,
        options: &ConnectToNameOptions,
    ) -> Result<(OwnedFd, NameConnectionDetails)>;
}

/// `org.ietf.Mif1.Interface`, a network interface.
#[zbus::proxy(
    interface = "org.ietf.Mif1.Interface",
    default_service = "org.ietf.Mif1",
    assume_defaults = false
)]
pub trait Interface {
    /// The kernel's index.
    #[zbus(property(emits_changed_signal = "const"))]
    fn ifindex(&self) -> Result<u32>;
    /// The kernel's name.
    #[zbus(property)]
    fn name(&self) -> Result<String>;
    /// The name for people.
    #[zbus(property)]
    fn display_name(&self) -> Result<String>;
    /// Word of [`crate::wire::InterfaceKind`].
    #[zbus(property(emits_changed_signal = "const"))]
    fn kind(&self) -> Result<String>;
    /// Word of [`crate::wire::InterfaceState`].
    #[zbus(property)]
    fn state(&self) -> Result<String>;
    /// The PvDs on it.
    #[zbus(property)]
    fn provisioning_domains(&self) -> Result<Vec<OwnedObjectPath>>;
}

/// `org.ietf.Mif1.ProvisioningDomain`, a PvD.
#[zbus::proxy(
    interface = "org.ietf.Mif1.ProvisioningDomain",
    default_service = "org.ietf.Mif1",
    assume_defaults = false
)]
pub trait ProvisioningDomain {
    /// One configuration value.
    fn get_configuration_data(&self, element: &str, identifier: &str) -> Result<OwnedVariant>;
    /// All configuration values of an element.
    fn get_all_configuration_data(&self, element: &str) -> Result<HashMap<String, OwnedVariant>>;
    /// The addresses of a name in this PvD.
    fn translate_name(
        &self,
        name: &str,
        options: &TranslateNameOptions,
    ) -> Result<(Vec<String>, TranslationDetails)>;
    /// A TCP connection in this PvD.
    fn connect_to_address(
        &self,
        address: &str,
        port: u16,
        options: &ConnectToAddressOptions,
    ) -> Result<(OwnedFd, ConnectionDetails)>;
    /// Binds the caller's own socket to this PvD.
    fn bind_socket(&self, socket: zbus::Fd<'_>, options: &BindSocketOptions) -> Result<BindingDetails>;
    /// How a connection would leave.
    fn explain(&self, address: &str, options: &ExplainOptions) -> Result<ExplanationDetails>;
    /// The interface it is on.
    #[zbus(property(emits_changed_signal = "const"))]
    fn interface(&self) -> Result<OwnedObjectPath>;
    /// PvD ID, or implicit id.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> Result<String>;
    /// Word of [`crate::wire::Origin`].
    #[zbus(property(emits_changed_signal = "const"))]
    fn origin(&self) -> Result<String>;
    /// Word of [`crate::wire::Family`].
    #[zbus(property)]
    fn family(&self) -> Result<String>;
    /// Words of [`crate::wire::Element`].
    #[zbus(property)]
    fn configuration_elements(&self) -> Result<Vec<String>>;
    /// Source addresses, each a dictionary like [`crate::wire::AddressEntry`].
    #[zbus(property)]
    fn addresses(&self) -> Result<Vec<HashMap<String, OwnedVariant>>>;
    /// DNS servers.
    #[zbus(property)]
    fn dns_servers(&self) -> Result<Vec<String>>;
    /// Search domains.
    #[zbus(property)]
    fn search_domains(&self) -> Result<Vec<String>>;
    /// Default routers.
    #[zbus(property)]
    fn routers(&self) -> Result<Vec<String>>;
    /// One more for each change of a configuration value other than a time.
    #[zbus(property)]
    fn configuration_revision(&self) -> Result<u32>;
    /// Preferred-until and valid-until of each address.
    #[zbus(property(emits_changed_signal = "false"))]
    fn address_lifetimes(&self) -> Result<HashMap<String, (u64, u64)>>;
}

/// `org.ietf.Mif1.Subscriber`: the draft's messages.
#[zbus::proxy(
    interface = "org.ietf.Mif1.Subscriber",
    default_service = "org.ietf.Mif1",
    assume_defaults = false
)]
pub trait Subscriber {
    /// Draft 3.5.1; the number of messages that came before the reply.
    fn announce_interfaces(&self) -> Result<u32>;
    /// Draft 3.5.2.
    fn stop_announcing_interfaces(&self) -> Result<()>;
    /// Draft 3.5.5; the number of messages that came before the reply.
    fn announce_provisioning_domains(&self, interface: &ObjectPath<'_>) -> Result<u32>;
    /// Draft 3.5.6.
    fn stop_announcing_provisioning_domains(&self, interface: &ObjectPath<'_>) -> Result<()>;
    /// Draft 3.5.9; the number of messages that came before the reply.
    fn announce_configuration_elements(&self, pvd: &ObjectPath<'_>) -> Result<u32>;
    /// Not in the draft.
    fn stop_announcing_configuration_elements(&self, pvd: &ObjectPath<'_>) -> Result<()>;
    /// Draft 3.5.12; the number of messages that came before the reply.
    fn announce_addresses(&self, pvd: &ObjectPath<'_>) -> Result<u32>;
    /// Not in the draft.
    fn stop_announcing_addresses(&self, pvd: &ObjectPath<'_>) -> Result<()>;
    /// Draft 3.5.15.
    fn get_configuration_data(
        &self,
        pvd: &ObjectPath<'_>,
        element: &str,
        identifier: &str,
    ) -> Result<OwnedVariant>;
    /// Draft 3.5.16.
    fn translate_name(
        &self,
        translation_id: u32,
        pvd: &ObjectPath<'_>,
        name: &str,
        options: &TranslateNameOptions,
    ) -> Result<()>;
    /// Draft 3.5.17.
    fn stop_translating_name(&self, translation_id: u32) -> Result<()>;
    /// Draft 3.5.19.
    fn connect_to_address(
        &self,
        connection_id: u32,
        pvd: &ObjectPath<'_>,
        address: &str,
        port: u16,
        options: &ConnectToAddressOptions,
    ) -> Result<()>;
    /// Draft 3.5.20.
    #[allow(clippy::too_many_arguments)]
    fn connect_to_address_from_address(
        &self,
        connection_id: u32,
        pvd: &ObjectPath<'_>,
        source: &str,
        address: &str,
        port: u16,
        options: &ConnectToAddressOptions,
    ) -> Result<()>;
    /// Hands over the token of draft 3.5.21.
    fn take_connection(&self, connection_id: u32) -> Result<OwnedFd>;
    /// Not in the draft.
    fn cancel_connection(&self, connection_id: u32) -> Result<()>;
    /// Not in the draft.
    fn close(&self) -> Result<()>;

    /// Draft 3.5.3.
    #[zbus(signal)]
    fn interface_announcement(
        &self,
        interface: ObjectPath<'_>,
        display_name: &str,
        details: InterfaceDetails,
    ) -> Result<()>;
    /// Draft 3.5.4.
    #[zbus(signal)]
    fn no_interface_announcement(&self, interface: ObjectPath<'_>) -> Result<()>;
    /// Draft 3.5.7.
    #[zbus(signal)]
    fn provisioning_domain_announcement(
        &self,
        interface: ObjectPath<'_>,
        pvd: ObjectPath<'_>,
        details: PvdDetails,
    ) -> Result<()>;
    /// Draft 3.5.8.
    #[zbus(signal)]
    fn no_provisioning_domain_announcement(
        &self,
        interface: ObjectPath<'_>,
        pvd: ObjectPath<'_>,
    ) -> Result<()>;
    /// Draft 3.5.10.
    #[zbus(signal)]
    fn configuration_element_announcement(
        &self,
        pvd: ObjectPath<'_>,
        element: &str,
        details: HashMap<String, OwnedVariant>,
    ) -> Result<()>;
    /// Draft 3.5.11.
    #[zbus(signal)]
    fn no_configuration_element_announcement(&self, pvd: ObjectPath<'_>, element: &str) -> Result<()>;
    /// Draft 3.5.13.
    #[zbus(signal)]
    fn address_announcement(
        &self,
        pvd: ObjectPath<'_>,
        address: &str,
        prefix_length: u8,
        preferred_until: u64,
        valid_until: u64,
        details: HashMap<String, OwnedVariant>,
    ) -> Result<()>;
    /// Draft 3.5.14.
    #[zbus(signal)]
    fn no_address_announcement(&self, pvd: ObjectPath<'_>, address: &str) -> Result<()>;
    /// Draft 3.5.18.
    #[zbus(signal)]
    fn name_translation(&self, translation_id: u32, address: &str, details: AnswerDetails) -> Result<()>;
    /// Not in the draft.
    #[zbus(signal)]
    fn translation_finished(
        &self,
        translation_id: u32,
        error_name: &str,
        details: TranslationDetails,
    ) -> Result<()>;
    /// Draft 3.5.21.
    #[zbus(signal)]
    fn connected(&self, connection_id: u32, details: ConnectionDetails) -> Result<()>;
    /// Draft 3.5.22.
    #[zbus(signal)]
    fn not_connected(
        &self,
        connection_id: u32,
        error_name: &str,
        message: &str,
        details: FailureDetails,
    ) -> Result<()>;
    /// Not in the draft.
    #[zbus(signal)]
    fn closed(&self, reason: &str, details: HashMap<String, OwnedVariant>) -> Result<()>;
}
