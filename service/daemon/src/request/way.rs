//! How a connection is begun: its plan, or what must be asked before there can be one.

use crate::translate::Translator;
use mif_core::nat64::prefixes_of;
use mif_core::plan::{self, ConnectPlan, ConnectRequest, Refusal, TranslatePlan};
use mif_core::pvd::Serial;
use mif_core::snapshot::Snapshot;
use std::net::IpAddr;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a connection is begun.
#[derive(Debug)]
pub struct Way {
    pvd: Serial,
    request: ConnectRequest,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// As planned.
    Connect(ConnectPlan),
    /// Through a NAT64, if the network's DNS knows of one (RFC 7050).
    FindNat64(Box<TranslatePlan>),
}

impl Way {
    /// The way of `request` inside `pvd`. Nothing is sent.
    ///
    /// # Errors
    /// As [`plan::connect`].
    pub fn find(
        snapshot: &Snapshot,
        pvd: Serial,
        request: ConnectRequest,
        translator: &Translator,
    ) -> Result<Self, Refusal> {
        let means = (translator.systems(), translator.encryption());
        let step = match plan::nat64_question(snapshot, pvd, &request, means) {
            Some(question) => Step::FindNat64(Box::new(question)),
            None => Step::Connect(plan::connect(snapshot, pvd, &request)?),
        };
        Ok(Self { pvd, request, step })
    }

    /// The plan, once what must be asked has been asked. The time that this took is not left for the connection.
    ///
    /// `snapshots` has seen the state of [`Way::find`]. Where it has changed since, as it may while a person thinks about
    /// a permission, everything is planned anew: a source may be of another provisioning domain by now.
    ///
    /// # Errors
    /// As [`plan::connect`].
    pub async fn plan(
        self,
        translator: &Translator,
        snapshots: &mut watch::Receiver<Snapshot>,
    ) -> Result<ConnectPlan, Refusal> {
        let Self { pvd, request, step } = match snapshots.has_changed() {
            Ok(true) => {
                let snapshot = snapshots.borrow_and_update();
                Self::find(&snapshot, self.pvd, self.request, translator)?
            }
            // The service stops.
            Ok(false) | Err(_) => self,
        };
        let question = match step {
            Step::Connect(plan) => return Ok(plan),
            Step::FindNat64(question) => question,
        };
        let begin = Instant::now();
        let mut found = Vec::new();
        let note = |answer: plan::Answer| match answer.address {
            IpAddr::V6(v6) => found.push(v6),
            IpAddr::V4(_) => {}
        };
        // Without an answer there is no NAT64 that could be used, whatever the reason.
        if let Err(error) = translator.translate(&question, note).await {
            tracing::debug!(%pvd, %error, "no NAT64 is known");
        }
        let prefixes = prefixes_of(found);
        let mut plan = plan::connect_behind(&snapshots.borrow_and_update(), pvd, &request, &prefixes)?;
        let taken = u32::try_from(begin.elapsed().as_millis()).unwrap_or(u32::MAX);
        plan.timeout_ms = plan.timeout_ms.saturating_sub(taken).max(1);
        Ok(plan)
    }
}
