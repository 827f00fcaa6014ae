//! What is heard of others: what they took away, what they set, and which routers are silent.

use super::super::error::RoutingError;
use super::super::watch::{Notice, Watch};
use super::Keeper;
use super::held::Held;
use crate::clock;
use mif_core::event::Ifindex;
use mif_core::routing::Mark;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

impl Keeper {
    pub(super) async fn note(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Settings => self.look_at_filters().await,
                Notice::Neighbour { ifindex, address, answers } => {
                    self.hear_router(ifindex, address, answers).await;
                }
                Notice::Table(mark) if !self.held.contains_key(&mark) => {}
                Notice::Rules | Notice::Table(_) | Notice::Everything => self.suspect(notice),
            }
        }
    }

    /// Reads the reverse path filters of what is in use again.
    pub(super) async fn look_at_filters(&mut self) {
        let turned = |held: &Held| held.pvd.is_some() && self.is_filtered(held) != held.strict;
        let marks: Vec<Mark> =
            self.held.iter().filter(|(_, held)| turned(held)).map(|(mark, _)| *mark).collect();
        for mark in marks {
            self.make_good(mark).await;
        }
        self.publish();
    }

    /// A neighbour answers, or does not: of importance when it is a router of something in use.
    async fn hear_router(&mut self, ifindex: Ifindex, router: Ipv4Addr, answers: bool) {
        let goes_by = |held: &Held| held.goes_by(ifindex, IpAddr::V4(router));
        let marks: Vec<Mark> =
            self.held.iter().filter(|(_, held)| goes_by(held)).map(|(mark, _)| *mark).collect();
        if marks.is_empty() || !self.silent.hear(ifindex, router, answers, clock::now()) {
            return;
        }
        tracing::info!(ifindex, %router, answers, "a router in use answers, or has ceased to");
        let silent = self.silent.of(ifindex);
        for mark in marks {
            let Some(held) = self.held.get_mut(&mark) else { continue };
            let Some(pvd) = held.pvd.clone() else { continue };
            if held.take(pvd, &silent) {
                self.make_good(mark).await;
            }
        }
        self.publish();
    }

    /// Asks routers that did not answer whether they are back. What they say is heard like everything else.
    pub(super) async fn ask_silent_routers(&mut self) {
        for (ifindex, router) in self.silent.to_ask(clock::now()) {
            if let Err(error) = self.kernel.ask(ifindex, router).await {
                tracing::debug!(ifindex, %router, %error, "a silent router cannot be asked");
            }
        }
    }

    pub(super) fn suspect(&mut self, notice: Notice) {
        if self.suspects.insert(notice) && self.restoration.lost(clock::now()).say {
            tracing::warn!(
                "somebody keeps removing rules or routes of this service (systemd-networkd does, without \
                 ManageForeignRoutingPolicyRules=no, and the kernel while links flap); they are put back less \
                 and less often"
            );
        }
    }

    /// Puts back what others took away.
    pub(super) async fn restore(&mut self) {
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

    pub(super) fn watch_anew(&mut self, error: &io::Error) -> Result<(), RoutingError> {
        tracing::warn!(%error, "the kernel's changes could not be read; looking at everything again");
        self.watch = Watch::open().map_err(RoutingError::Watch)?;
        self.suspect(Notice::Everything);
        Ok(())
    }
}
