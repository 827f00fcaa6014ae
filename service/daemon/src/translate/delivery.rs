//! Addresses on their way out: each once, and no more than fit.

use mif_core::plan::{ADDRESSES_PER_TRANSLATION, Answer, TranslationEnd};
use std::net::IpAddr;

/// Where the answers of one translation go.
pub(super) struct Delivery<Sink> {
    sink: Sink,
    given: Vec<IpAddr>,
    truncated: bool,
    canonical_name: Option<String>,
}

impl<Sink: FnMut(Answer)> Delivery<Sink> {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink, given: Vec::new(), truncated: false, canonical_name: None }
    }

    /// Hands `answer` out, unless its address was given before or there are too many.
    pub(super) fn give(&mut self, answer: Answer) {
        if self.given.contains(&answer.address) {
            return;
        }
        if self.given.len() == ADDRESSES_PER_TRANSLATION {
            self.truncated = true;
            return;
        }
        self.given.push(answer.address);
        (self.sink)(answer);
    }

    /// Remembers the name that the addresses belong to: the first one counts.
    pub(super) fn name(&mut self, canonical: String) {
        self.canonical_name.get_or_insert(canonical);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// The end of a translation to which another system than DNS gave addresses.
    pub(super) fn end_without_dns(&self) -> TranslationEnd {
        TranslationEnd { rcode: None, ..self.end() }
    }

    /// The end of a translation to which DNS gave addresses.
    pub(super) fn end(&self) -> TranslationEnd {
        const NO_ERROR: u16 = 0;
        TranslationEnd {
            canonical_name: self.canonical_name.clone(),
            truncated: self.truncated,
            rcode: Some(NO_ERROR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mif_core::plan::AnswerSource;
    use std::net::Ipv4Addr;

    #[test]
    fn each_address_once_and_not_too_many() {
        let mut seen = Vec::new();
        let mut delivery = Delivery::new(|answer: Answer| seen.push(answer.address));
        let address = |n: u32| IpAddr::V4(Ipv4Addr::from(0xc000_0200 + n));
        for n in [1, 1, 2] {
            delivery.give(Answer::local(address(n), AnswerSource::Dns));
        }
        for n in 2..=64 {
            delivery.give(Answer::local(address(n), AnswerSource::Dns));
        }
        assert!(!delivery.end().truncated, "64 fit");
        delivery.give(Answer::local(address(65), AnswerSource::Dns));
        assert!(delivery.end().truncated);
        assert_eq!(seen, (1..=64).map(address).collect::<Vec<_>>());
    }
}
