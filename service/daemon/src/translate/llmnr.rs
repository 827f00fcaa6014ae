//! Link-local multicast name resolution (RFC 4795), the sender's side.
//!
//! Two flags of the DNS header mean something else here (2.1.1): where DNS has AA, there is C ("conflict": in an answer,
//! others may have the name too), and where DNS has RD, there is T ("tentative": whoever answers does not know yet
//! whether the name is its own).

use super::delivery::Delivery;
use super::exchange::{Exchange, Heard};
use super::link_failure;
use super::question::{Origin, Question};
use crate::socket::{self, Scope};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{RData, Record};
use mif_core::plan::{
    Answer, AnswerSource, Families, LinkPlan, System, Systems, TranslationEnd, TranslationFailure, Transport,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// How long to wait after each of the three times of asking. LLMNR_TIMEOUT is 100 ms on IEEE 802 links and 1 s on others
/// (RFC 4795 7); the longer waits are for hosts on a wireless link that sleep.
const WAITS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(600)];
/// JITTER_INTERVAL (RFC 4795 7): the most that a repetition is put off, so that hosts do not ask in step. The first
/// question, which one program asks at a moment of its own, is not put off.
const JITTER: Duration = Duration::from_millis(100);
/// How long to collect when the first answer says that there may be others (RFC 4795 2.7).
const COLLECT: Duration = Duration::from_millis(200);
/// How long a neighbour may take to say over TCP what is too long for UDP.
const TCP_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks the neighbours of the link, three times at most, and hands out what they say.
pub(super) async fn ask<S: FnMut(Answer)>(
    scope: Scope,
    plan: &LinkPlan,
    families: Families,
    delivery: &mut Delivery<S>,
) -> Result<TranslationEnd, TranslationFailure> {
    let failed = |error: io::Error| link_failure(plan, &error);
    let questions = Question::of(plan, families).map_err(|error| failed(io::Error::other(error)))?;
    let mut asking = Asking { scope, questions: questions.into_iter().map(Asked::new).collect() };
    let mut exchange = Exchange::open(scope, &plan.groups).map_err(failed)?;
    for (time, wait) in WAITS.into_iter().enumerate() {
        if time > 0 {
            tokio::time::sleep(JITTER.mul_f64(rand::random())).await;
        }
        for asked in asking.questions.iter().filter(|asked| !asked.question.answered) {
            exchange.send(asked.question.packet()).await.map_err(failed)?;
        }
        let mut until = Instant::now() + wait;
        while !asking.is_over() {
            let Ok(heard) = timeout_at(until, exchange.receive()).await else { break };
            let taken = asking.take(&heard.map_err(failed)?, delivery).await;
            match taken {
                Taken::Nothing | Taken::Answer => {}
                Taken::OneOfMany => until = until.max(Instant::now() + COLLECT),
                Taken::Conflict(packet) => exchange.send(&packet).await.map_err(failed)?,
            }
        }
        if asking.questions.iter().all(|asked| asked.question.answered) {
            break;
        }
    }
    let name = plan.name().to_owned();
    if !delivery.is_empty() {
        Ok(delivery.end_without_dns())
    } else if asking.questions.iter().any(|asked| asked.question.answered) {
        Err(TranslationFailure::NoAddress(name))
    } else {
        Err(TranslationFailure::Unknown(name, Systems::NONE.with(System::Llmnr)))
    }
}

/// The questions of one translation.
struct Asking {
    scope: Scope,
    questions: Vec<Asked>,
}

/// A question and who answered it.
struct Asked {
    question: Question,
    /// The first that said that the name is its own, and the records that it gave.
    owner: Option<(IpAddr, Vec<Record>)>,
    /// Somebody said that others may have the name too.
    shared: bool,
    /// Once is enough for each.
    told_of_conflict: bool,
    asked_by_tcp: bool,
}

/// What became of a datagram.
enum Taken {
    /// It is none of ours.
    Nothing,
    /// It is the answer.
    Answer,
    /// It is an answer, and there may be others.
    OneOfMany,
    /// Two hosts take the name for their own, and this tells them so.
    Conflict(Vec<u8>),
}

impl Asked {
    const fn new(question: Question) -> Self {
        Self { question, owner: None, shared: false, told_of_conflict: false, asked_by_tcp: false }
    }
}

impl Asking {
    /// Whether nothing more is worth waiting for.
    fn is_over(&self) -> bool {
        self.questions.iter().all(|asked| asked.question.answered && !asked.shared)
    }

    async fn take<S: FnMut(Answer)>(&mut self, heard: &Heard<'_>, delivery: &mut Delivery<S>) -> Taken {
        let Ok(message) = Message::from_vec(heard.bytes) else { return Taken::Nothing };
        let Some(asked) = self.questions.iter_mut().find(|asked| asked.question.is_answered_by(&message))
        else {
            return Taken::Nothing;
        };
        if is_tentative(&message) {
            return Taken::Nothing;
        }
        let mut origin =
            Origin { source: AnswerSource::Llmnr, from: heard.datagram.from, transport: Transport::Udp };
        let mut message = message;
        if message.truncation && !asked.asked_by_tcp {
            asked.asked_by_tcp = true;
            let by_tcp = ask_by_tcp(self.scope, origin.from, heard.group.source, &asked.question);
            // What has come by UDP is better than nothing.
            if let Ok(Some(whole)) = timeout(TCP_TIMEOUT, by_tcp).await.unwrap_or(Ok(None)) {
                message = whole;
                origin.transport = Transport::Tcp;
            }
        }
        asked.question.answered = true;
        asked.question.deliver(message.answers.iter(), origin, delivery);
        asked.judge(origin.from.ip(), message)
    }
}

impl Asked {
    /// Whether the name is somebody's own (RFC 4795 2.7 and 4.2).
    fn judge(&mut self, from: IpAddr, message: Message) -> Taken {
        if is_shared(&message) {
            self.shared = true;
            return Taken::OneOfMany;
        }
        match &self.owner {
            None => {
                self.owner = Some((from, message.answers));
                Taken::Answer
            }
            // One host may answer by both families, with the same records.
            Some((owner, records)) if *owner == from || addresses(records) == addresses(&message.answers) => {
                Taken::Answer
            }
            Some(_) if self.told_of_conflict => Taken::Answer,
            Some((_, records)) => {
                self.told_of_conflict = true;
                let mut conflict = self.question.message().clone();
                conflict.metadata.authoritative = true;
                conflict.add_additionals(records.iter().chain(&message.answers).cloned());
                conflict.to_vec().map_or(Taken::Answer, Taken::Conflict)
            }
        }
    }
}

/// T, where DNS has RD.
fn is_tentative(message: &Message) -> bool {
    message.recursion_desired
}

/// C, where DNS has AA.
fn is_shared(message: &Message) -> bool {
    message.authoritative
}

fn addresses(records: &[Record]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        records.iter().map(|record| &record.data).filter_map(RData::ip_addr).collect();
    addresses.sort_unstable();
    addresses
}

/// Asks one neighbour for all of what it has (RFC 4795 2.4).
async fn ask_by_tcp(
    scope: Scope,
    neighbour: SocketAddr,
    source: Option<IpAddr>,
    question: &Question,
) -> io::Result<Option<Message>> {
    let socket = socket::stream_to_neighbour(scope, neighbour, source)?;
    let mut stream = tokio::net::TcpSocket::from_std_stream(socket.into()).connect(neighbour).await?;
    socket::end_by_reset(&stream)?;
    let length = u16::try_from(question.packet().len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question.packet()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    let message = Message::from_vec(&answer).ok();
    Ok(message.filter(|message| question.is_answered_by(message) && !is_tentative(message)))
}
