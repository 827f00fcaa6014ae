//! Keeps the kernel as the provisioning domains in use say.
//!
//! The kernel is the only memory of routes: before a table is changed it is read, because the kernel drops IPv4 routes
//! without a word when a link is set down or loses its last address. Rules it keeps until they are removed, and says so.

use super::error::{HoldError, RoutingError};
use super::kernel::Kernel;
use super::reverse_path;
use super::watch::{Notice, Watch};
use super::written::Written;
use super::{InUse, Request, Use};
use crate::bus::authority;
use crate::clock;
use mif_core::configuration::AddressFamily;
use mif_core::event::{Ifindex, LinkKind};
use mif_core::pvd::{Pvd, Serial};
use mif_core::routing::{
    Layout, LinkName, Mark, Owner, Register, Restoration, RouteChange, Rule, Table, changes,
};
use mif_core::snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch as latest};

/// A rule and the family whose packets it is for.
type FamilyRule = (AddressFamily, Rule);

const FAMILIES: [AddressFamily; 2] = [AddressFamily::Ipv4, AddressFamily::Ipv6];

/// The ends of a keeper's channels.
pub(super) struct Ends {
    pub(super) snapshots: latest::Receiver<Snapshot>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) in_use: latest::Sender<Arc<InUse>>,
}

/// Keeps rules and tables right, to be [run](Keeper::run).
pub struct Keeper {
    kernel: Kernel,
    watch: Watch,
    written: Written,
    register: Register,
    ends: Ends,
    /// Those that the kernel has rules for.
    families: Vec<AddressFamily>,
    held: BTreeMap<Mark, Held>,
    /// What should be in the kernel, and as far as is known is.
    rules: BTreeSet<FamilyRule>,
    /// Start-up is over: what nobody has claimed by now is not needed.
    settled: bool,
    restoration: Restoration,
    suspects: BTreeSet<Notice>,
    said_strict: BTreeSet<Ifindex>,
}

/// A mark in use.
struct Held {
    owner: Owner,
    /// As it was when its table was last made; `None` while it is not there.
    pvd: Option<Arc<Pvd>>,
    wanted: Table,
    strict: bool,
    /// Its link, when that is a tunnel.
    tunnel: Option<LinkName>,
}

impl Keeper {
    /// Tries whether there is policy routing, and takes over what an earlier run left.
    pub(super) async fn start(layout: Layout, ends: Ends) -> Result<Self, RoutingError> {
        let kernel = Kernel::open(layout)?;
        let families = families(&kernel).await?;
        let namespace = authority::namespace_id().map_err(RoutingError::Open)?;
        let (written, register) = Written::open(layout.space, namespace)?;
        // Opened before anything is read, so that nothing is missed.
        let watch = Watch::open().map_err(RoutingError::Watch)?;
        let mut keeper = Self {
            kernel,
            watch,
            written,
            register,
            ends,
            families,
            held: BTreeMap::new(),
            rules: BTreeSet::new(),
            settled: false,
            restoration: Restoration::default(),
            suspects: BTreeSet::new(),
            said_strict: BTreeSet::new(),
        };
        keeper.adopt().await?;
        Ok(keeper)
    }

    /// Runs as long as marks are given out.
    ///
    /// # Errors
    /// The kernel's changes cannot be watched any more.
    pub async fn run(mut self) -> Result<Infallible, RoutingError> {
        self.follow().await;
        loop {
            let due = self.restoration.due();
            tokio::select! {
                Ok(()) = self.ends.snapshots.changed() => self.follow().await,
                Some(Request { pvd, reply }) = self.ends.requests.recv() => {
                    let held = self.hold(pvd).await;
                    if let Err(error) = &held {
                        tracing::warn!(%pvd, error = error as &dyn std::error::Error, "not put into use");
                    }
                    // Nobody may want it any more.
                    let _ = reply.send(held);
                }
                notices = self.watch.next() => match notices {
                    Ok(notices) => self.note(notices).await,
                    Err(error) => self.watch_anew(&error)?,
                },
                () = clock::at(due) => self.restore().await,
            }
        }
    }

    /// Finds what an earlier run left: marks whose owner is known are in use again at once, so that what it finds for
    /// them stays as it is until start-up is settled.
    async fn adopt(&mut self) -> Result<(), RoutingError> {
        let mut marks = BTreeSet::new();
        for &family in &self.families {
            for found in self.kernel.rules(family).await? {
                let Some(rule) = found.rule else { continue };
                self.rules.insert((family, rule));
                marks.extend(rule.mark());
            }
            marks.extend(self.kernel.routes(family, None).await?.iter().map(|found| found.table));
        }
        for mark in marks {
            match self.register.owner_of(mark) {
                Some(owner) => {
                    self.held.insert(mark, Held::new(owner.clone()));
                }
                None => self.register.reserve(mark),
            }
        }
        if !self.held.is_empty() {
            tracing::info!(tables = self.held.len(), "took over the routing of an earlier run");
        }
        Ok(())
    }

    /// Puts `serial` into use, or finds it there.
    async fn hold(&mut self, serial: Serial) -> Result<Mark, HoldError> {
        self.follow_if_changed().await;
        let snapshot = self.ends.snapshots.borrow().clone();
        let pvd = snapshot.pvd(serial).cloned().ok_or(HoldError::Gone(serial))?;
        let owner = Owner { ifindex: pvd.ifindex, id: pvd.id.clone() };
        let mark = match self.register.mark_of(&owner) {
            Some(mark) => mark,
            None => {
                let mark = self.register.give(&owner)?;
                self.written.add(&owner, mark)?;
                tracing::info!(pvd = %pvd.id, ifindex = pvd.ifindex, %mark, "in use, with a table of its own");
                mark
            }
        };
        for family in self.families.clone() {
            for rule in Layout::FRAME {
                self.add_rule((family, rule)).await?;
            }
        }
        let held = self.held.entry(mark).or_insert_with(|| Held::new(owner));
        held.take(Arc::clone(&pvd));
        held.tunnel = tunnel(&snapshot, pvd.ifindex);
        self.fill(mark).await?;
        self.lead(mark).await?;
        self.publish();
        Ok(mark)
    }

    async fn follow_if_changed(&mut self) {
        if self.ends.snapshots.has_changed().unwrap_or(false) {
            self.follow().await;
        }
    }

    /// Brings the tables of what is in use to what the latest state says.
    async fn follow(&mut self) {
        let snapshot = self.ends.snapshots.borrow_and_update().clone();
        let marks: Vec<Mark> = self.held.keys().copied().collect();
        for mark in marks {
            let Some(held) = self.held.get_mut(&mark) else { continue };
            let tunnel = tunnel(&snapshot, held.owner.ifindex);
            let renamed = std::mem::replace(&mut held.tunnel, tunnel) != tunnel;
            let changed = match held.find(&snapshot) {
                Some(pvd) if held.pvd.as_ref().is_some_and(|known| Arc::ptr_eq(known, &pvd)) => renamed,
                Some(pvd) => held.take(pvd) || renamed,
                None => held.pvd.take().is_some(),
            };
            if changed {
                self.make_good(mark).await;
            }
        }
        if !self.settled && !snapshot.startup() {
            self.settled = true;
            if let Err(error) = self.sweep().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what is not needed stays in the kernel"
                );
            }
        }
        self.publish();
    }

    /// Table and rules of `mark`; what fails is tried again later.
    async fn make_good(&mut self, mark: Mark) {
        let done = match self.fill(mark).await {
            Ok(_) => self.lead(mark).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::warn!(%mark, error = &error as &dyn std::error::Error, "its table is not right yet");
            self.suspect(Notice::Table(mark));
        }
    }

    /// Brings the table of `mark` to what is wanted, and says how many routes were missing. During start-up nothing is
    /// taken away: not everything that made it what it is has been heard yet. A link that is down takes no routes.
    async fn fill(&mut self, mark: Mark) -> Result<usize, RoutingError> {
        let Some(held) = self.held.get_mut(&mark) else { return Ok(0) };
        let (there, up) = (held.pvd.is_some(), held.pvd.as_ref().is_some_and(|pvd| pvd.link_up));
        if there && !up || !there && !self.settled {
            return Ok(0);
        }
        let wanted = if there { held.wanted.clone() } else { Table::default() };
        if wanted.cut() {
            tracing::warn!(%mark, pvd = held.owner.id, "it has more routes than a table may have; the rest is left out");
        }
        let mut missing = 0;
        for &family in &self.families {
            let found = self.kernel.routes(family, Some(mark)).await?;
            let (known, strange): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|found| found.route.is_some());
            let installed: Vec<_> = known.iter().filter_map(|found| found.route).collect();
            for change in changes(family, &installed, &wanted.of_family(family)) {
                let removes = matches!(change, RouteChange::Remove(_));
                if removes && !self.settled {
                    continue;
                }
                missing += usize::from(!removes);
                if let Err(error) = self.kernel.change(mark, change).await {
                    forgive(mark, change, error)?;
                }
            }
            for found in strange.into_iter().filter(|_| self.settled) {
                let failed = |source| RoutingError::Kernel { what: "remove a route", source };
                self.kernel.remove_found_route(found).await.map_err(failed)?;
            }
        }
        Ok(missing)
    }

    /// Brings the rules of `mark` to what is wanted.
    async fn lead(&mut self, mark: Mark) -> Result<(), RoutingError> {
        let Some(held) = self.held.get_mut(&mark) else { return Ok(()) };
        if held.pvd.is_none() && !self.settled {
            return Ok(());
        }
        held.strict = held.pvd.as_ref().is_some_and(|pvd| pvd.family.includes(AddressFamily::Ipv4))
            && reverse_path::is_strict(held.owner.ifindex);
        if held.strict && self.said_strict.insert(held.owner.ifindex) {
            tracing::warn!(
                pvd = held.owner.id,
                "the reverse path filter of its interface is strict (rp_filter 1) and would drop answers; root's \
                 sockets that are bound to its IPv4 addresses are led to its table as well"
            );
        }
        let wanted = held.rules(mark);
        let of_mark = |rule: &FamilyRule| rule.1.mark() == Some(mark);
        let former: Vec<FamilyRule> =
            self.rules.iter().filter(|rule| of_mark(rule) && !wanted.contains(rule)).copied().collect();
        for rule in
            wanted.into_iter().filter(|(family, _)| self.families.contains(family)).collect::<Vec<_>>()
        {
            self.add_rule(rule).await?;
        }
        // The last made goes first.
        for (family, rule) in former.into_iter().rev() {
            let failed = |source| RoutingError::Kernel { what: "remove a rule", source };
            self.rules.remove(&(family, rule));
            self.kernel.remove_rule(family, rule).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn add_rule(&mut self, rule: FamilyRule) -> Result<(), RoutingError> {
        if !self.rules.contains(&rule) {
            let failed = |source| RoutingError::Kernel { what: "make a rule", source };
            self.kernel.add_rule(rule.0, rule.1).await.map_err(failed)?;
            self.rules.insert(rule);
        }
        Ok(())
    }

    /// Removes what is this service's and nobody's: of provisioning domains that did not come back, and of other
    /// configurations. The frame stays as long as sockets with marks of this boot may live: it refuses their packets.
    async fn sweep(&mut self) -> Result<(), RoutingError> {
        let claimed =
            |held: &BTreeMap<Mark, Held>, mark: &Mark| held.get(mark).is_some_and(|it| it.pvd.is_some());
        for mark in self.held.keys().copied().collect::<Vec<_>>() {
            self.make_good(mark).await;
        }
        let framed = !self.held.is_empty() || self.register.any();
        for family in self.families.clone() {
            for found in self.kernel.rules(family).await? {
                let needed = match found.rule {
                    Some(rule) => rule.mark().map_or(framed, |mark| claimed(&self.held, &mark)),
                    None => false,
                };
                if !needed {
                    self.rules.retain(|known| found.rule.is_none_or(|rule| *known != (family, rule)));
                    let failed = |source| RoutingError::Kernel { what: "remove a rule", source };
                    self.kernel.remove_found_rule(found).await.map_err(failed)?;
                }
            }
            for found in self.kernel.routes(family, None).await? {
                if !claimed(&self.held, &found.table) {
                    let failed = |source| RoutingError::Kernel { what: "remove a route", source };
                    self.kernel.remove_found_route(found).await.map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    async fn note(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Settings => self.look_at_filters().await,
                Notice::Table(mark) if !self.held.contains_key(&mark) => {}
                Notice::Rules | Notice::Table(_) | Notice::Everything => self.suspect(notice),
            }
        }
    }

    /// Reads the reverse path filters of what is in use again.
    async fn look_at_filters(&mut self) {
        let turned = |held: &Held| {
            held.pvd.as_ref().is_some_and(|pvd| pvd.family.includes(AddressFamily::Ipv4))
                && reverse_path::is_strict(held.owner.ifindex) != held.strict
        };
        let marks: Vec<Mark> =
            self.held.iter().filter(|(_, held)| turned(held)).map(|(mark, _)| *mark).collect();
        for mark in marks {
            self.make_good(mark).await;
        }
        self.publish();
    }

    fn suspect(&mut self, notice: Notice) {
        if self.suspects.insert(notice) && self.restoration.lost(clock::now()).say {
            tracing::warn!(
                "somebody keeps removing rules or routes of this service (systemd-networkd does, without \
                 ManageForeignRoutingPolicyRules=no); they are put back less and less often"
            );
        }
    }

    /// Puts back what others took away.
    async fn restore(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        let mut missing = 0;
        if suspects.contains(&Notice::Rules) || suspects.contains(&Notice::Everything) {
            missing += self.restore_rules().await.unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "rules that were removed are not back"
                );
                1
            });
        }
        let everything = suspects.contains(&Notice::Everything);
        let marks: Vec<Mark> = self
            .held
            .keys()
            .filter(|mark| everything || suspects.contains(&Notice::Table(**mark)))
            .copied()
            .collect();
        for mark in marks {
            missing += self.fill(mark).await.unwrap_or_else(|error| {
                tracing::warn!(%mark, error = &error as &dyn std::error::Error, "its table is not right yet");
                1
            });
        }
        if missing > 0 {
            tracing::info!(count = missing, "put back rules and routes that somebody had removed");
        }
        self.restoration.looked(clock::now(), missing > 0);
    }

    async fn restore_rules(&mut self) -> Result<usize, RoutingError> {
        let mut missing = 0;
        for &family in &self.families {
            let found = self.kernel.rules(family).await?;
            let present: BTreeSet<Rule> = found.into_iter().filter_map(|found| found.rule).collect();
            for &(_, rule) in self.rules.iter().filter(|(of, rule)| *of == family && !present.contains(rule))
            {
                let failed = |source| RoutingError::Kernel { what: "make a rule", source };
                self.kernel.add_rule(family, rule).await.map_err(failed)?;
                missing += 1;
            }
        }
        Ok(missing)
    }

    fn watch_anew(&mut self, error: &io::Error) -> Result<(), RoutingError> {
        tracing::warn!(%error, "the kernel's changes could not be read; looking at everything again");
        self.watch = Watch::open().map_err(RoutingError::Watch)?;
        self.suspect(Notice::Everything);
        Ok(())
    }

    /// Tells everybody what is in use.
    fn publish(&self) {
        let uses = self.held.iter().filter_map(|(mark, held)| {
            let pvd = held.pvd.as_ref()?;
            Some((pvd.serial, Use { mark: *mark, strict_reverse_path: held.strict }))
        });
        let uses: InUse = uses.collect();
        self.ends.in_use.send_if_modified(|known| {
            let news = **known != uses;
            if news {
                *known = Arc::new(uses);
            }
            news
        });
    }
}

impl Held {
    fn new(owner: Owner) -> Self {
        Self { owner, pvd: None, wanted: Table::default(), strict: false, tunnel: None }
    }

    /// The provisioning domain that this is about, as it is now.
    fn find(&self, snapshot: &Snapshot) -> Option<Arc<Pvd>> {
        let same = self.pvd.as_ref().and_then(|pvd| snapshot.pvd(pvd.serial));
        let again = || {
            let interface = snapshot.interface_by_index(self.owner.ifindex)?;
            snapshot.pvds_of(interface).find(|pvd| pvd.id == self.owner.id)
        };
        same.or_else(again).cloned()
    }

    /// Takes the newest word; whether the kernel is to be looked at for it.
    fn take(&mut self, pvd: Arc<Pvd>) -> bool {
        let wanted = Table::of(&pvd);
        let addresses = |pvd: &Pvd| pvd.usable_addresses().map(|address| address.address).collect::<Vec<_>>();
        let same = self.pvd.as_ref().is_some_and(|known| {
            known.link_up == pvd.link_up && known.family == pvd.family && addresses(known) == addresses(&pvd)
        });
        let changed = !same || wanted != self.wanted;
        self.pvd = Some(pvd);
        self.wanted = wanted;
        changed
    }

    fn rules(&self, mark: Mark) -> BTreeSet<FamilyRule> {
        let Some(pvd) = &self.pvd else { return BTreeSet::new() };
        let of_tunnel = |link| [Rule::Inside(mark, link), Rule::Carrier(mark)];
        let leading = std::iter::once(Rule::LookUp(mark)).chain(self.tunnel.into_iter().flat_map(of_tunnel));
        let leading: Vec<Rule> = leading.collect();
        let families = FAMILIES.into_iter().filter(|family| pvd.family.includes(*family));
        let leading = families.flat_map(|family| leading.iter().map(move |rule| (family, *rule)));
        let sources = pvd.usable_addresses().filter(|_| self.strict).filter_map(|own| match own.address {
            IpAddr::V4(v4) => Some((AddressFamily::Ipv4, Rule::Source(v4, mark))),
            IpAddr::V6(_) => None,
        });
        leading.chain(sources).collect()
    }
}

/// The name of this link, if it is a tunnel and has one that rules can have.
fn tunnel(snapshot: &Snapshot, ifindex: Ifindex) -> Option<LinkName> {
    let interface = snapshot.interface_by_index(ifindex).filter(|it| it.kind == LinkKind::Tunnel)?;
    LinkName::new(&interface.name)
}

/// The families that rules can be made for. A kernel may be without IPv6.
async fn families(kernel: &Kernel) -> Result<Vec<AddressFamily>, RoutingError> {
    kernel.takes_rules(AddressFamily::Ipv4).await.map_err(RoutingError::NoRules)?;
    match kernel.takes_rules(AddressFamily::Ipv6).await {
        Ok(()) => Ok(FAMILIES.to_vec()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
            tracing::info!("this kernel has no IPv6 routing rules");
            Ok(vec![AddressFamily::Ipv4])
        }
        Err(error) => Err(RoutingError::NoRules(error)),
    }
}

/// A route that the link does not take now: it is going, or has just come. Its next change makes it good. Everything
/// else is an error.
fn forgive(mark: Mark, change: RouteChange, error: io::Error) -> Result<(), RoutingError> {
    match error.raw_os_error() {
        Some(libc::ENETDOWN | libc::ENODEV | libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL) => {
            tracing::debug!(%mark, ?change, %error, "the link does not take it");
            Ok(())
        }
        _ => Err(RoutingError::Kernel { what: "change a route", source: error }),
    }
}
