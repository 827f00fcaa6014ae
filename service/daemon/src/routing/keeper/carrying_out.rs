//! Brings the kernel's tables and rules to what is wanted.

use super::super::error::RoutingError;
use super::super::reverse_path;
use super::held::Held;
use super::{FamilyRule, Keeper};
use mif_core::configuration::AddressFamily;
use mif_core::routing::{Mark, RouteChange, Rule, SourceRules, Table, changes};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

impl Keeper {
    /// Brings the table of `mark` to what is wanted, and says how many routes were missing. During start-up nothing is
    /// taken away: not everything that made it what it is has been heard yet. A link that is down takes no routes.
    pub(super) async fn fill(&mut self, mark: Mark) -> Result<usize, RoutingError> {
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
    pub(super) async fn lead(&mut self, mark: Mark) -> Result<(), RoutingError> {
        let source_rules = self.kernel.layout().sources;
        let strict = self.held.get(&mark).is_some_and(|held| self.is_filtered(held));
        let Some(held) = self.held.get_mut(&mark) else { return Ok(()) };
        if held.pvd.is_none() && !self.settled {
            return Ok(());
        }
        held.strict = strict;
        if held.strict && self.said_strict.insert(held.owner.ifindex) {
            tracing::warn!(
                pvd = held.owner.id,
                "the reverse path filter of its interface is strict (rp_filter 1) and would drop answers; root's \
                 sockets that are bound to its IPv4 addresses are led to its table as well"
            );
        }
        let wanted = held.rules(mark, source_rules);
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

    /// Whether the reverse path filter needs rules for its addresses. Rules for everybody serve the filter as well.
    pub(super) fn is_filtered(&self, held: &Held) -> bool {
        self.kernel.layout().sources == SourceRules::WhereNeeded
            && held.pvd.as_ref().is_some_and(|pvd| pvd.family.includes(AddressFamily::Ipv4))
            && reverse_path::is_strict(held.owner.ifindex)
    }

    pub(super) async fn add_rule(&mut self, rule: FamilyRule) -> Result<(), RoutingError> {
        if !self.rules.contains(&rule) {
            let failed = |source| RoutingError::Kernel { what: "make a rule", source };
            self.kernel.add_rule(rule.0, rule.1).await.map_err(failed)?;
            self.rules.insert(rule);
        }
        Ok(())
    }

    /// Removes what is this service's and nobody's: of provisioning domains that did not come back, and of other
    /// configurations. The frame stays as long as sockets with marks of this boot may live: it refuses their packets.
    pub(super) async fn sweep(&mut self) -> Result<(), RoutingError> {
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

    pub(super) async fn restore_rules(&mut self) -> Result<usize, RoutingError> {
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
