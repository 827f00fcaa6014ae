//! Bytes as a sequence of steps: two for each, so that pieces of sequences can be moved, repeated and left out.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// No more steps are taken: what is found is to be understood by people.
const MOST: usize = 150;

/// The steps that the bytes stand for, each of them one of `strategy`.
pub fn steps<S: Strategy>(strategy: &S, bytes: &[u8]) -> Vec<S::Value> {
    let step = |pair: &[u8]| {
        let mut seed = [0; 32];
        seed[..pair.len()].copy_from_slice(pair);
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, random);
        strategy.new_tree(&mut runner).expect("no step is ever rejected").current()
    };
    bytes.chunks_exact(2).take(MOST).map(step).collect()
}
