//! Multicast DNS: one-shot questions (RFC 6762 5.1).
//!
//! They leave from a port of their own, which makes them "legacy unicast" ones (6.7): every responder answers that port
//! alone, with one message that repeats id and question. So nothing is shared with, or taken from, a responder of this
//! host on port 5353, and no answer to somebody else's question is ever seen.

use super::delivery::Delivery;
use super::exchange::{Exchange, Heard};
use super::link_failure;
use super::question::{Origin, Question};
use crate::socket::Scope;
use hickory_resolver::proto::op::Message;
use mif_core::plan::{
    Answer, AnswerSource, Families, LinkPlan, System, Systems, TranslationEnd, TranslationFailure, Transport,
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long to wait after each time of asking: the second question at least a second after the first (RFC 6762 5.2).
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// How long to collect once somebody has answered: who shares a record waits up to 120 ms (RFC 6762 6).
const COLLECT: Duration = Duration::from_millis(150);
/// Of every answer, so that it has crossed no router. (RFC 6762 11 has responders set it, and says that hosts of before
/// it check it; here it is what keeps the answers of one link from another.)
const HOP_LIMIT: u8 = 255;

/// Asks the neighbours of the link, twice at most, and hands out what they say.
pub(super) async fn ask<S: FnMut(Answer)>(
    scope: Scope,
    plan: &LinkPlan,
    families: Families,
    delivery: &mut Delivery<S>,
) -> Result<TranslationEnd, TranslationFailure> {
    let failed = |error: std::io::Error| link_failure(plan, &error);
    let mut questions = Question::of(plan, families).map_err(|error| failed(std::io::Error::other(error)))?;
    let mut exchange = Exchange::open(scope, &plan.groups).map_err(failed)?;
    for wait in WAITS {
        for question in questions.iter().filter(|question| !question.answered) {
            exchange.send(question.packet()).await.map_err(failed)?;
        }
        let mut until = Instant::now() + wait;
        while let Ok(heard) = timeout_at(until, exchange.receive()).await {
            if take(&heard.map_err(failed)?, &mut questions, delivery) {
                until = until.min(Instant::now() + COLLECT);
            }
        }
        if !delivery.is_empty() {
            return Ok(delivery.end_without_dns());
        }
    }
    Err(TranslationFailure::Unknown(plan.name().to_owned(), Systems::NONE.with(System::Mdns)))
}

/// Hands out what a datagram says to one of `questions`. Whether it said anything.
fn take<S: FnMut(Answer)>(heard: &Heard<'_>, questions: &mut [Question], delivery: &mut Delivery<S>) -> bool {
    if heard.datagram.hop_limit != Some(HOP_LIMIT) {
        tracing::debug!(from = %heard.datagram.from, "an answer that crossed a router is ignored");
        return false;
    }
    let Ok(message) = Message::from_vec(heard.bytes) else { return false };
    let Some(question) = questions.iter_mut().find(|question| question.is_answered_by(&message)) else {
        return false;
    };
    let origin = Origin { source: AnswerSource::Mdns, from: heard.datagram.from, transport: Transport::Udp };
    // Responders put the addresses of the other family behind those that were asked for (RFC 6762 6.2).
    let said = question.deliver(message.answers.iter().chain(&message.additionals), origin, delivery);
    question.answered |= said;
    said
}
