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
pub enum Way {
    /// As planned.
    Known(ConnectPlan),
    /// Through a NAT64, if the network's DNS knows of one (RFC 7050).
    BehindNat64(Box<Inquiry>),
}

/// A question to DNS, and the connection that it is for.
#[derive(Debug)]
pub struct Inquiry {
    question: TranslatePlan,
    pvd: Serial,
    request: ConnectRequest,
}

impl Way {
    /// The way of `request` inside `pvd`. Nothing is sent.
    ///
    /// # Errors
    /// As [`plan::connect`].
    pub fn find(
        snapshot: &Snapshot,
        pvd: Serial,
        request: &ConnectRequest,
        translator: &Translator,
    ) -> Result<Self, Refusal> {
        let means = (translator.systems(), translator.encryption());
        match plan::nat64_question(snapshot, pvd, request, means) {
            Some(question) => {
                Ok(Self::BehindNat64(Box::new(Inquiry { question, pvd, request: request.clone() })))
            }
            None => plan::connect(snapshot, pvd, request).map(Self::Known),
        }
    }

    /// The plan, once what must be asked has been asked. The time that this took is not left for the connection.
    ///
    /// # Errors
    /// As [`plan::connect`].
    pub async fn plan(
        self,
        translator: &Translator,
        snapshots: &watch::Receiver<Snapshot>,
    ) -> Result<ConnectPlan, Refusal> {
        let Inquiry { question, pvd, request } = match self {
            Self::Known(plan) => return Ok(plan),
            Self::BehindNat64(inquiry) => *inquiry,
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
        let mut plan = plan::connect_behind(&snapshots.borrow(), pvd, &request, &prefixes_of(found))?;
        let taken = u32::try_from(begin.elapsed().as_millis()).unwrap_or(u32::MAX);
        plan.timeout_ms = plan.timeout_ms.saturating_sub(taken).max(1);
        Ok(plan)
    }
}
