//! Bytes as a sequence of steps: two for each, so that pieces of sequences can be moved, repeated and left out.

use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// No more steps are taken: what is found is to be understood by people.
const MOST: usize = 150;

/// What two bytes each stand for. A step is made when it is wanted for the first time: that takes longer than to take it.
pub struct Steps<V: Debug> {
    strategy: BoxedStrategy<V>,
    made: RefCell<BTreeMap<[u8; 2], V>>,
}

impl<V: Clone + Debug> Steps<V> {
    /// Each of them is one of `strategy`.
    pub fn of(strategy: impl Strategy<Value = V> + 'static) -> Self {
        Self { strategy: strategy.boxed(), made: RefCell::default() }
    }

    /// The steps that the bytes stand for.
    pub fn in_order(&self, bytes: &[u8]) -> Vec<V> {
        let mut made = self.made.borrow_mut();
        let pairs = bytes.chunks_exact(2).take(MOST).map(|pair| [pair[0], pair[1]]);
        pairs.map(|pair| made.entry(pair).or_insert_with(|| self.make(pair)).clone()).collect()
    }

    fn make(&self, pair: [u8; 2]) -> V {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&pair);
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, random);
        self.strategy.new_tree(&mut runner).expect("no step is ever rejected").current()
    }
}
