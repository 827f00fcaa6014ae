//! What a server said, without what it was not asked for.
//!
//! hickory believes a message as a whole, and its cache keeps all of it. So what does not answer the question is taken
//! out before either sees it: addresses of other names, addresses of the other family, aliases that lead from nowhere.

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record};

/// The longest chain of aliases that is followed.
const LONGEST_CHAIN: usize = 16;
/// TTLs from here on count as zero (RFC 2181 8).
const LARGEST_TTL: u32 = i32::MAX.unsigned_abs();

/// Leaves in `message` the chain of aliases that begins at its question, in order, and the records of the type that was
/// asked for at its end. A chain without an end makes it a failure of the server, as resolvers have it (RFC 1034 3.6.2
/// and 5.2.2): the name need not be without such records, and another server may know.
pub(super) fn scrub(message: &mut Message) {
    let Some(question) = message.queries.first() else { return message.answers.clear() };
    let (mut name, wanted) = (question.name().clone(), question.query_type());
    let said = std::mem::take(&mut message.answers);
    while let Some((alias, target)) = said.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == name => Some((record, &target.0)),
        _ => None,
    }) {
        let returns = message.answers.iter().any(|known| known.name == name);
        if returns || message.answers.len() == LONGEST_CHAIN {
            message.answers.clear();
            message.metadata.response_code = ResponseCode::ServFail;
            return;
        }
        message.answers.push(alias.clone());
        name = target.clone();
    }
    let is_asked_for = |record: &Record| record.record_type() == wanted && record.name == name;
    message.answers.extend(said.iter().filter(|record| is_asked_for(record)).cloned());
    for record in message.answers.iter_mut().chain(&mut message.authorities) {
        record.ttl = if record.ttl > LARGEST_TTL { 0 } else { record.ttl };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::{OpCode, Query};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
    use hickory_resolver::proto::rr::{Name, RecordType};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn v4(owner: &str, last: u8) -> Record {
        Record::from_rdata(name(owner), 300, RData::A(A(Ipv4Addr::new(203, 0, 113, last))))
    }

    fn v6(owner: &str) -> Record {
        Record::from_rdata(name(owner), 300, RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)))
    }

    fn alias(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 300, RData::CNAME(CNAME(name(target))))
    }

    fn scrubbed(answers: Vec<Record>) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        message.add_query(Query::query(name("a.example."), RecordType::A));
        message.answers = answers;
        scrub(&mut message);
        message
    }

    fn left_of(answers: Vec<Record>) -> Vec<Record> {
        let message = scrubbed(answers);
        assert_eq!(message.metadata.response_code, ResponseCode::NoError);
        message.answers
    }

    #[test]
    fn what_was_asked_for_stays() {
        let both = vec![v4("a.example.", 1), v4("A.Example.", 2)];
        assert_eq!(left_of(both.clone()), both);
        // In the order of the chain, whatever the server's was.
        let chain = vec![alias("a.example.", "b.example."), alias("b.example.", "c.example.")];
        let whole = [chain, vec![v4("c.example.", 1)]].concat();
        assert_eq!(left_of(whole.iter().rev().cloned().collect()), whole);
        let unfinished = vec![alias("a.example.", "b.example.")];
        assert_eq!(left_of(unfinished.clone()), unfinished);
    }

    #[test]
    fn everything_else_goes() {
        let right = v4("a.example.", 1);
        let answers = vec![
            v4("b.example.", 66),
            right.clone(),
            v6("a.example."),
            alias("b.example.", "c.example."),
            v4("example.", 66),
            v4("a.a.example.", 66),
        ];
        assert_eq!(left_of(answers), [right]);
        // A name with an alias has nothing else (RFC 1034 3.6.2).
        let alias = alias("a.example.", "b.example.");
        assert_eq!(left_of(vec![v4("a.example.", 66), alias.clone(), v4("c.example.", 66)]), [alias]);
        let mut nothing_asked = Message::response(1, OpCode::Query);
        nothing_asked.add_answer(v4("a.example.", 66));
        scrub(&mut nothing_asked);
        assert!(nothing_asked.answers.is_empty());
    }

    #[test]
    fn chains_without_an_end_are_failures() {
        let ring = vec![alias("a.example.", "b.example."), alias("b.example.", "a.example.")];
        let owner = |n: usize| if n == 0 { "a.example.".to_owned() } else { format!("n{n}.example.") };
        let chain =
            |length| -> Vec<Record> { (0..length).map(|n| alias(&owner(n), &owner(n + 1))).collect() };
        assert_eq!(left_of(chain(LONGEST_CHAIN)).len(), LONGEST_CHAIN);
        let itself = vec![alias("a.example.", "A.example."), v4("a.example.", 66)];
        for endless in [ring, itself, chain(LONGEST_CHAIN + 1), chain(1_000)] {
            let message = scrubbed(endless);
            assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
            assert!(message.answers.is_empty());
        }
    }

    #[test]
    fn times_beyond_the_largest_are_none() {
        for (given, left) in [(LARGEST_TTL, LARGEST_TTL), (LARGEST_TTL + 1, 0), (u32::MAX, 0)] {
            let mut record = v4("a.example.", 1);
            record.ttl = given;
            assert_eq!(left_of(vec![record])[0].ttl, left);
        }
    }
}
