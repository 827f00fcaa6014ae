//! DNS messages of servers and neighbours (mDNS, LLMNR), after the library has decoded them.

// The modules of the service that look at them; they do no more than that.
#[path = "../../../../service/daemon/src/translate/delivery.rs"]
#[allow(dead_code)] // The rest is for translations under way.
mod delivery;
#[path = "../../../../service/daemon/src/translate/question.rs"]
#[allow(dead_code)]
mod question;
#[path = "../../../../service/daemon/src/translate/scrub.rs"]
mod scrub;

use delivery::Delivery;
use hickory_resolver::proto::op::Message;
use mif_core::plan::{
    ADDRESSES_PER_TRANSLATION, Answer, AnswerSource, Families, LinkPlan, LinkQuestion, Transport,
};
use question::{Origin, Question};
use std::net::IpAddr;

/// Reads any bytes as the answer to a question for addresses, to one for the owner of an address, and as what a server
/// of DNS says. The identifier is that of the question, which nobody could guess.
pub fn check(bytes: &[u8]) {
    let address = IpAddr::from([169, 254, 1, 1]);
    for asked in [
        LinkQuestion::Addresses("a.local".to_owned()),
        LinkQuestion::Owner(address, "1.1.254.169.in-addr.arpa".to_owned()),
    ] {
        let plan = LinkPlan { question: asked, groups: Vec::new() };
        for question in Question::of(&plan, Families::Any).expect("a name that can be asked") {
            heard(&question, bytes);
        }
    }
    if let Ok(mut message) = Message::from_vec(bytes) {
        let before = message.answers.len();
        scrub::scrub(&mut message);
        assert!(
            message.answers.len() <= before + 16,
            "an alias of the chain may be there once for each turn of it"
        );
    }
}

fn heard(question: &Question, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    for (byte, of_question) in bytes.iter_mut().zip(&question.packet()[..2]) {
        *byte = *of_question;
    }
    let Ok(message) = Message::from_vec(&bytes) else { return };
    if !question.is_answered_by(&message) {
        return;
    }
    let from = ([192, 0, 2, 1], 5353).into();
    let origin = Origin { source: AnswerSource::Mdns, from, transport: Transport::Udp };
    let mut given = Vec::new();
    let mut delivery = Delivery::new(|answer: Answer| given.push(answer.address));
    question.deliver(message.answers.iter(), origin, &mut delivery);
    let end = delivery.end_without_dns();
    let name = end.canonical_name.unwrap_or_default();
    assert!(!name.chars().any(char::is_control), "{name:?}");
    assert!(given.len() <= ADDRESSES_PER_TRANSLATION);
    given.sort_unstable();
    given.dedup();
    assert!(given.len() <= message.answers.len(), "each once");
}
