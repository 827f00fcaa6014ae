//! What a subscriber must hear next: a queue of expectations, one for each call or event, met one after the other.

use crate::word::Word;
use mif_core::pvd::Serial;
use mif_core::subscription::Topic;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a subscriber must hear, in this order (O1).
#[derive(Debug, Default)]
pub struct Expectations(VecDeque<Expectation>);

#[derive(Debug)]
enum Expectation {
    /// Exactly this.
    Word(Word),
    /// O2: the items in any order, then the reply.
    Listing { topic: Topic, left: BTreeSet<Word>, reply: Word },
    /// All of these, in the order of their ranks.
    News(News),
}

/// What one batch of changes means to one subscriber.
#[derive(Debug, Default)]
pub struct News {
    left: BTreeSet<Word>,
    heard: Vec<Word>,
    /// Each word of these comes after all words of the former ranks (O4, O5). One row for each loss.
    ranks: Vec<[Vec<Word>; 4]>,
    /// Ends of work because of the loss of a provisioning domain.
    ends: BTreeMap<Word, Serial>,
}

impl Expectations {
    pub fn word(&mut self, word: Word) {
        self.0.push_back(Expectation::Word(word));
    }

    pub fn listing(&mut self, topic: Topic, items: BTreeSet<Word>, call: u32) {
        let count = u32::try_from(items.len()).unwrap();
        let reply = Word::Reply(call, Some(count));
        self.0.push_back(Expectation::Listing { topic, left: items, reply });
    }

    pub fn news(&mut self, news: News) {
        if !news.left.is_empty() {
            self.0.push_back(Expectation::News(news));
        }
    }

    /// Whether a listing of `topic` is not over yet. One of a former subscriber of the same path is nobody's now.
    pub fn is_listing(&self, topic: Topic) -> bool {
        let own = |expected: &&Expectation| !matches!(expected, Expectation::Word(Word::Closed));
        let listing = |expected: &Expectation| matches!(expected, Expectation::Listing { topic: of, .. } if *of == topic);
        self.0.iter().rev().take_while(own).any(listing)
    }

    /// How many calls wait for their reply.
    pub fn unanswered(&self) -> usize {
        let answers = |expected: &&Expectation| {
            matches!(expected, Expectation::Listing { .. } | Expectation::Word(Word::Reply(..)))
        };
        self.0.iter().filter(answers).count()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next word, which must be expected. If it is the end of work on a provisioning domain that is gone: which.
    pub fn hear(&mut self, word: &Word) -> Option<Serial> {
        let expected = self.0.front_mut().unwrap_or_else(|| panic!("{word:?}: nothing is expected"));
        let (met, end) = match expected {
            Expectation::Word(expected) => {
                assert_eq!(word, expected, "O1");
                (true, None)
            }
            Expectation::Listing { left, reply, .. } if left.is_empty() => {
                assert_eq!(word, reply, "O2: the reply ends a listing");
                (true, None)
            }
            Expectation::Listing { left, .. } => {
                assert!(left.remove(word), "O2: {word:?} is not among what is left of a listing, {left:?}");
                (false, None)
            }
            Expectation::News(news) => news.hear(word),
        };
        if met {
            self.0.pop_front();
        }
        end
    }
}

impl News {
    pub fn expect(&mut self, word: Word) {
        assert!(self.left.insert(word.clone()), "{word:?} would be said twice");
    }

    /// O4 and O5: each of these after everything of the former ranks.
    pub fn expect_in_order(&mut self, ranks: [Vec<Word>; 4]) {
        for word in ranks.iter().take(3).flatten() {
            self.expect(word.clone());
        }
        self.ranks.push(ranks);
    }

    pub fn is_end_on(&mut self, word: Word, pvd: Serial) {
        self.ends.insert(word, pvd);
    }

    fn hear(&mut self, word: &Word) -> (bool, Option<Serial>) {
        assert!(self.left.remove(word), "{word:?} is no news, or comes too early; expected: {:?}", self.left);
        self.heard.push(word.clone());
        let met = self.left.is_empty();
        if met {
            self.check_order();
        }
        (met, self.ends.get(word).copied())
    }

    fn check_order(&self) {
        let place = |word: &Word| self.heard.iter().position(|heard| heard == word);
        for ranks in &self.ranks {
            let mut former = None;
            for rank in ranks {
                let first = rank.iter().filter_map(place).min();
                assert!(first.is_none() || first > former, "O4, O5: {:?} is not in order", self.heard);
                former = former.max(rank.iter().filter_map(place).max());
            }
        }
    }
}
