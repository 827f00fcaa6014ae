//! Keeps the kernel as the provisioning domains in use say.
//!
//! The kernel is the only memory of routes: before a table is changed it is read, because the kernel drops IPv4 routes
//! without a word when a link is set down or loses its last address. Rules it keeps until they are removed, and says so.

mod carrying_out;
mod hearing;
mod held;

use super::error::{HoldError, RoutingError};
use super::kernel::Kernel;
use super::watch::{Notice, Watch};
use super::written::Written;
use super::{InUse, Request, Use};
use crate::bus::authority;
use crate::clock::{self, Alarm};
use held::{Held, tunnel};
use mif_core::configuration::AddressFamily;
use mif_core::event::Ifindex;
use mif_core::pvd::Serial;
use mif_core::routing::{Layout, Mark, Owner, Register, Restoration, Rule, SilentRouters};
use mif_core::snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
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
    silent: SilentRouters,
    alarm: Alarm,
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
            silent: SilentRouters::default(),
            alarm: Alarm::new().map_err(RoutingError::Watch)?,
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
            let next = self.restoration.due().into_iter().chain(self.silent.due()).min();
            tokio::select! {
                Ok(()) = self.ends.snapshots.changed() => {
                    // Whoever is to be told of the change goes first.
                    tokio::task::yield_now().await;
                    self.follow().await;
                }
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
                () = self.alarm.at(next) => self.handle_timeout().await,
            }
        }
    }

    async fn handle_timeout(&mut self) {
        if self.restoration.due().is_some_and(|due| due.passed(clock::now())) {
            self.restore().await;
        }
        self.ask_silent_routers().await;
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
                if let Err(error) = self.written.add(&owner, mark) {
                    self.register.take_back(&owner);
                    return Err(error.into());
                }
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
        held.take(Arc::clone(&pvd), &self.silent.of(pvd.ifindex));
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
                Some(pvd) => held.take(pvd, &self.silent.of(held.owner.ifindex)) || renamed,
                None => held.pvd.take().is_some(),
            };
            if changed {
                self.make_good(mark).await;
            }
        }
        let held = &self.held;
        self.silent.retain(|ifindex, router| held.values().any(|held| held.goes_by(ifindex, router)));
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

    /// Tells everybody what is in use.
    fn publish(&self) {
        let uses = self.held.iter().filter_map(|(mark, held)| {
            let pvd = held.pvd.as_ref()?;
            let silent_routers = self.silent.of(pvd.ifindex);
            Some((pvd.serial, Use { mark: *mark, strict_reverse_path: held.strict, silent_routers }))
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
