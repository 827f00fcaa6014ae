//! What programs told of a link: DHCP clients of leases, managers of what is set.

use crate::BootTime;
use crate::configuration::Configuration;
use crate::lease::{Dhcpv6Lease, Lease, LeaseClient, LinkSettings, SettingsManager};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Told and not taken back.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    leases: BTreeMap<LeaseClient, Lease>,
    dhcpv6: BTreeMap<LeaseClient, Dhcpv6Lease>,
    settings: BTreeMap<SettingsManager, LinkSettings>,
}

impl Told {
    /// The DHCPv4 lease that counts. `witness` says until when the kernel has an address on the link.
    pub(super) fn lease(
        &self,
        witness: impl Fn(IpAddr) -> Option<BootTime>,
    ) -> Option<(LeaseClient, Cow<'_, Lease>)> {
        self.leases.iter().find_map(|(client, lease)| {
            if !client.leaves_records() {
                return Some((*client, Cow::Borrowed(lease)));
            }
            let ends = lease.expires.min(witness(lease.address)?);
            Some((*client, Cow::Owned(lease.clone().ending(ends))))
        })
    }

    /// What DHCPv6 gave that counts. One with addresses holds while the link has one of them, whoever told.
    pub(super) fn dhcpv6(
        &self,
        witness: impl Fn(IpAddr) -> Option<BootTime>,
    ) -> Option<(LeaseClient, Cow<'_, Dhcpv6Lease>)> {
        self.dhcpv6.iter().find_map(|(client, lease)| {
            if lease.addresses.is_empty() {
                return Some((*client, Cow::Borrowed(lease)));
            }
            let addresses = lease.addresses.iter().map(|address| IpAddr::V6(*address));
            let last = addresses.filter_map(&witness).max()?;
            let ends = lease.expires.map_or(last, |expires| expires.min(last));
            Some((*client, Cow::Owned(Dhcpv6Lease { expires: Some(ends), ..lease.clone() })))
        })
    }

    /// What is set on the link: the first manager counts that has anything to say, or to whom the link belongs.
    pub(super) fn settings(&self) -> Option<(SettingsManager, &LinkSettings)> {
        let mut all = self.settings.iter();
        let counts = |settings: &LinkSettings| settings.exclusive || !settings.is_empty();
        all.find(|(_, settings)| counts(settings)).map(|(manager, settings)| (*manager, settings))
    }

    pub(super) fn put_lease(&mut self, client: LeaseClient, lease: Lease) {
        self.leave_to(&lease.configuration);
        self.leases.insert(client, lease);
    }

    pub(super) fn remove_lease(&mut self, client: LeaseClient) {
        self.leases.remove(&client);
    }

    pub(super) fn put_dhcpv6(&mut self, client: LeaseClient, lease: Dhcpv6Lease) {
        self.leave_to(&lease.configuration);
        self.dhcpv6.insert(client, lease);
    }

    pub(super) fn remove_dhcpv6(&mut self, client: LeaseClient) {
        self.dhcpv6.remove(&client);
    }

    /// Takes in what is set, less what leases and `advertised` give.
    pub(super) fn put_settings<'a>(
        &mut self,
        manager: SettingsManager,
        mut settings: LinkSettings,
        advertised: impl Iterator<Item = &'a Configuration>,
    ) {
        self.leases.values().for_each(|lease| settings.leave_to(&lease.configuration));
        self.dhcpv6.values().for_each(|lease| settings.leave_to(&lease.configuration));
        advertised.for_each(|given| settings.leave_to(given));
        self.settings.insert(manager, settings);
    }

    pub(super) fn remove_settings(&mut self, manager: SettingsManager) {
        self.settings.remove(&manager);
    }

    /// Takes out of what is set what is given elsewhere as well. It stays out when that ends, until the manager
    /// speaks again: at that moment what it has told is of before.
    pub(super) fn leave_to(&mut self, given: &Configuration) {
        self.settings.values_mut().for_each(|settings| settings.leave_to(given));
    }

    /// Whether anybody has told anything of settings.
    pub(super) fn has_settings(&self) -> bool {
        !self.settings.is_empty()
    }

    /// Whether nobody has told anything that stands.
    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.dhcpv6.is_empty() && self.settings.is_empty()
    }

    /// The carrier was gone for longer than the grace.
    pub(super) fn end_with_carrier(&mut self) {
        self.leases.retain(|client, _| client.outlives_carrier());
        self.dhcpv6.retain(|client, _| client.outlives_carrier());
    }

    /// Drops what has run out.
    pub(super) fn expire(&mut self, now: BootTime) {
        self.leases.retain(|_, lease| !lease.expires.passed(now));
        self.dhcpv6.retain(|_, lease| !lease.expires.is_some_and(|expires| expires.passed(now)));
    }

    /// When the leases run out.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = BootTime> {
        let leases = self.leases.values().map(|lease| lease.expires);
        leases.chain(self.dhcpv6.values().filter_map(|lease| lease.expires))
    }
}
