//! A provisioning domain in use: what its table and its rules should be.

use mif_core::address_selection::is_link_local;
use mif_core::configuration::AddressFamily;
use mif_core::event::{Ifindex, LinkKind};
use mif_core::pvd::Pvd;
use mif_core::routing::{LinkName, Mark, Owner, Rule, SourceRules, Table};
use mif_core::snapshot::Snapshot;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{FAMILIES, FamilyRule};

/// A mark in use.
pub(super) struct Held {
    pub(super) owner: Owner,
    /// As it was when its table was last made; `None` while it is not there.
    pub(super) pvd: Option<Arc<Pvd>>,
    pub(super) wanted: Table,
    /// The reverse path filter of its link is strict, and its IPv4 addresses have rules for that.
    pub(super) strict: bool,
    /// Its link, when that is a tunnel.
    pub(super) tunnel: Option<LinkName>,
}

impl Held {
    pub(super) fn new(owner: Owner) -> Self {
        Self { owner, pvd: None, wanted: Table::default(), strict: false, tunnel: None }
    }

    /// The provisioning domain that this is about, as it is now.
    pub(super) fn find(&self, snapshot: &Snapshot) -> Option<Arc<Pvd>> {
        let same = self.pvd.as_ref().and_then(|pvd| snapshot.pvd(pvd.serial));
        let again = || {
            let interface = snapshot.interface_by_index(self.owner.ifindex)?;
            snapshot.pvds_of(interface).find(|pvd| pvd.id == self.owner.id)
        };
        same.or_else(again).cloned()
    }

    /// Takes the newest word, and which routers of its interface do not answer; whether the kernel is to be looked at for it.
    pub(super) fn take(&mut self, pvd: Arc<Pvd>, silent: &[IpAddr]) -> bool {
        let wanted = Table::of_answering(&pvd, silent);
        let addresses = |pvd: &Pvd| pvd.usable_addresses().map(|address| address.address).collect::<Vec<_>>();
        let same = self.pvd.as_ref().is_some_and(|known| {
            known.link_up == pvd.link_up && known.family == pvd.family && addresses(known) == addresses(&pvd)
        });
        let changed = !same || wanted != self.wanted;
        self.pvd = Some(pvd);
        self.wanted = wanted;
        changed
    }

    /// Whether it has a route by `router`, of this interface.
    pub(super) fn goes_by(&self, ifindex: Ifindex, router: IpAddr) -> bool {
        let of = |pvd: &Arc<Pvd>| pvd.used.routes.keys().any(|route| route.gateway == Some(router));
        self.owner.ifindex == ifindex && self.pvd.as_ref().is_some_and(of)
    }

    pub(super) fn rules(&self, mark: Mark, source_rules: SourceRules) -> BTreeSet<FamilyRule> {
        let Some(pvd) = &self.pvd else { return BTreeSet::new() };
        let of_tunnel = |link| [Rule::Inside(mark, link), Rule::Carrier(mark)];
        let leading = std::iter::once(Rule::LookUp(mark)).chain(self.tunnel.into_iter().flat_map(of_tunnel));
        let leading: Vec<Rule> = leading.collect();
        let families = FAMILIES.into_iter().filter(|family| pvd.family.includes(*family));
        let leading = families.flat_map(|family| leading.iter().map(move |rule| (family, *rule)));
        let of_source = |source: IpAddr| match (source_rules, source) {
            (SourceRules::Always, _) if is_global(source) => Some(Rule::AnySource(source, mark)),
            (SourceRules::WhereNeeded, IpAddr::V4(v4)) if self.strict => Some(Rule::Source(v4, mark)),
            _ => None,
        };
        let sources = pvd.usable_addresses().map(|own| own.address);
        let sources = sources.filter_map(|own| Some((AddressFamily::of(own), of_source(own)?)));
        leading.chain(sources).collect()
    }
}

/// Whether the address is of one link only by chance: those of link scope are for every link anew.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !is_link_local(v6),
    }
}

/// The name of this link, if it is a tunnel and has one that rules can have.
pub(super) fn tunnel(snapshot: &Snapshot, ifindex: Ifindex) -> Option<LinkName> {
    let interface = snapshot.interface_by_index(ifindex).filter(|it| it.kind == LinkKind::Tunnel)?;
    LinkName::new(&interface.name)
}
