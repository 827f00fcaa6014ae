//! The calls that wait to be served: one FIFO a client (O1), and the clients in turn, so that one that calls without
//! a pause delays the others by no more than one call of its own.

use std::collections::{BTreeMap, VecDeque};

/// How many calls of one client may wait.
pub const CALLS_PER_CLIENT: usize = 8_192;
/// How much memory they may hold, in bytes.
pub const BYTES_PER_CLIENT: usize = 4 << 20;
/// How many of them may have brought file descriptors.
pub const LENDING_PER_CLIENT: usize = 32;
/// How much memory the calls of all clients may hold, in bytes.
pub const BYTES: usize = 64 << 20;
/// How many of the calls of all clients may have brought file descriptors.
pub const LENDING: usize = 256;

/// What a call holds while it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Memory, in bytes.
    pub bytes: usize,
    /// 1 when it brought file descriptors.
    pub lending: usize,
}

/// Calls `M` of clients `C`.
#[derive(Debug)]
pub struct CallQueues<C, M> {
    queues: BTreeMap<C, Queue<M>>,
    /// The clients of which a call can be served, the one whose turn it is first.
    turns: VecDeque<C>,
    held: Weight,
    /// How many calls may have brought file descriptors.
    lending: usize,
}

#[derive(Debug)]
struct Queue<M> {
    calls: VecDeque<(M, Weight)>,
    weight: Weight,
    /// Nothing of this client can be served for now.
    held: bool,
}

impl<C, M> Default for CallQueues<C, M> {
    fn default() -> Self {
        Self::with_lending(LENDING)
    }
}

impl<C, M> CallQueues<C, M> {
    /// Where so many of the calls may have brought file descriptors.
    pub const fn with_lending(lending: usize) -> Self {
        let held = Weight { bytes: 0, lending: 0 };
        Self { queues: BTreeMap::new(), turns: VecDeque::new(), held, lending }
    }
}

impl<C: Ord + Clone, M> CallQueues<C, M> {
    /// Puts a call in.
    ///
    /// # Errors
    /// The call, when too many wait already.
    pub fn push(&mut self, client: &C, call: M, weight: Weight) -> Result<(), M> {
        let queue = self.queues.get(client);
        let calls = queue.map_or(0, |queue| queue.calls.len());
        let own = queue.map_or(Weight::default(), |queue| queue.weight).and(weight);
        let all = self.held.and(weight);
        // One call of any size is let in, for it is here already.
        let too_large = own.bytes > BYTES_PER_CLIENT || all.bytes > BYTES;
        let lent = weight.lending > 0 && (own.lending > LENDING_PER_CLIENT || all.lending > self.lending);
        if lent || calls >= CALLS_PER_CLIENT || (too_large && calls > 0) {
            return Err(call);
        }
        self.add(client, |calls| calls.push_back((call, weight)), weight);
        Ok(())
    }

    /// The next call: the first of the client whose turn it is.
    pub fn pop(&mut self) -> Option<(C, M)> {
        let client = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&client)?;
        let (call, weight) = queue.calls.pop_front()?;
        queue.weight = queue.weight.without(weight);
        self.held = self.held.without(weight);
        if queue.calls.is_empty() {
            self.queues.remove(&client);
        } else {
            self.turns.push_back(client.clone());
        }
        Some((client, call))
    }

    /// Whether a call can be served.
    pub fn is_waiting(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Puts a call back that cannot be served yet: nothing of this client is until [`CallQueues::release`].
    pub fn hold(&mut self, client: &C, call: M, weight: Weight) {
        self.add(client, |calls| calls.push_front((call, weight)), weight);
        if let Some(queue) = self.queues.get_mut(client) {
            queue.held = true;
        }
        self.turns.retain(|other| other != client);
    }

    /// The calls of a client can be served.
    pub fn release(&mut self, client: &C) {
        if let Some(queue) = self.queues.get_mut(client)
            && queue.held
        {
            queue.held = false;
            self.turns.push_back(client.clone());
        }
    }

    /// Takes all calls of a client out.
    pub fn forget(&mut self, client: &C) -> impl Iterator<Item = M> + use<C, M> {
        let queue = self.queues.remove(client);
        self.held = self.held.without(queue.as_ref().map_or(Weight::default(), |queue| queue.weight));
        self.turns.retain(|other| other != client);
        queue.into_iter().flat_map(|queue| queue.calls).map(|(call, _)| call)
    }

    fn add(&mut self, client: &C, put: impl FnOnce(&mut VecDeque<(M, Weight)>), weight: Weight) {
        let fresh = || Queue { calls: VecDeque::new(), weight: Weight::default(), held: false };
        let queue = self.queues.entry(client.clone()).or_insert_with(fresh);
        if queue.calls.is_empty() && !queue.held {
            self.turns.push_back(client.clone());
        }
        put(&mut queue.calls);
        queue.weight = queue.weight.and(weight);
        self.held = self.held.and(weight);
    }
}

impl Weight {
    const fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, lending: self.lending + other.lending }
    }

    const fn without(self, other: Self) -> Self {
        Self { bytes: self.bytes - other.bytes, lending: self.lending - other.lending }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const fn bytes(bytes: usize) -> Weight {
        Weight { bytes, lending: 0 }
    }

    #[test]
    fn clients_take_turns_and_keep_their_own_order() {
        let mut queues = CallQueues::default();
        for number in 0..3 {
            queues.push(&'a', number, bytes(10)).unwrap();
        }
        queues.push(&'b', 10, bytes(10)).unwrap();
        let served: Vec<_> = std::iter::from_fn(|| queues.pop()).collect();
        assert_eq!(served, [('a', 0), ('b', 10), ('a', 1), ('a', 2)]);
        assert_eq!(queues.held, Weight::default());
    }

    #[test]
    fn a_client_that_is_held_waits_in_order() {
        let mut queues = CallQueues::default();
        for (client, call) in [('a', 0), ('a', 1), ('b', 10)] {
            queues.push(&client, call, bytes(1)).unwrap();
        }
        let (client, call) = queues.pop().unwrap();
        queues.hold(&client, call, bytes(1));
        queues.push(&'a', 2, bytes(1)).unwrap();
        assert_eq!(queues.pop(), Some(('b', 10)));
        assert!(!queues.is_waiting());
        queues.release(&'a');
        let served: Vec<_> = std::iter::from_fn(|| queues.pop()).collect();
        assert_eq!(served, [('a', 0), ('a', 1), ('a', 2)]);
        queues.release(&'a');
        assert!(!queues.is_waiting(), "there is nothing to release");
    }

    #[test]
    fn the_edges() {
        let mut queues = CallQueues::default();
        for number in 0..CALLS_PER_CLIENT {
            queues.push(&'a', number, bytes(1)).unwrap();
        }
        assert_eq!(queues.push(&'a', 7, bytes(1)), Err(7));
        queues.push(&'b', 0, bytes(BYTES_PER_CLIENT + 1)).unwrap();
        assert_eq!(queues.push(&'b', 1, bytes(1)), Err(1));
        assert_eq!(queues.forget(&'a').count(), CALLS_PER_CLIENT);
        queues.push(&'a', 7, bytes(1)).unwrap();
        let all = BYTES / BYTES_PER_CLIENT;
        let mut queues = CallQueues::default();
        for client in 0..all {
            queues.push(&client, 0, bytes(BYTES_PER_CLIENT)).unwrap();
        }
        queues.push(&all, 0, bytes(1)).unwrap();
        assert_eq!(queues.push(&all, 1, bytes(1)), Err(1), "all together hold too much");
    }

    #[test]
    fn few_calls_with_descriptors_wait() {
        let lending = Weight { bytes: 1, lending: 1 };
        let mut queues = CallQueues::default();
        for number in 0..LENDING_PER_CLIENT {
            queues.push(&0, number, lending).unwrap();
        }
        assert_eq!(queues.push(&0, 7, lending), Err(7));
        queues.push(&0, 7, bytes(1)).unwrap();
        queues.pop().unwrap();
        queues.push(&0, 7, lending).unwrap();
        for client in 1..LENDING / LENDING_PER_CLIENT {
            for number in 0..LENDING_PER_CLIENT {
                queues.push(&client, number, lending).unwrap();
            }
        }
        assert_eq!(queues.push(&99, 7, lending), Err(7), "all together");
        let mut queues = CallQueues::with_lending(2);
        queues.push(&0, 7, lending).unwrap();
        queues.push(&1, 7, lending).unwrap();
        assert_eq!(queues.push(&2, 7, lending), Err(7));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8),
        Pop,
        PopAndHold,
        Release(u8),
        Forget(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let client = 0_u8..3;
        let step = prop_oneof![
            4 => client.clone().prop_map(Step::Push),
            3 => Just(Step::Pop),
            1 => Just(Step::PopAndHold),
            1 => client.clone().prop_map(Step::Release),
            1 => client.prop_map(Step::Forget),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// Against one list a client: nothing is lost, told twice, out of order, or served while it is held; and
        /// whoever has a call that can be served is served before anybody else is twice.
        #[test]
        fn every_call_is_served_once_in_order_and_in_turn(steps in steps()) {
            let mut queues = CallQueues::default();
            let mut lists: BTreeMap<u8, (VecDeque<usize>, bool)> = BTreeMap::new();
            let mut overtaken: BTreeMap<u8, BTreeMap<u8, u32>> = BTreeMap::new();
            for (number, step) in steps.iter().enumerate() {
                match *step {
                    Step::Push(client) => {
                        queues.push(&client, number, bytes(1)).unwrap();
                        lists.entry(client).or_default().0.push_back(number);
                    }
                    Step::Pop | Step::PopAndHold => {
                        let ready = |(list, held): &(VecDeque<usize>, bool)| !held && !list.is_empty();
                        prop_assert_eq!(queues.is_waiting(), lists.values().any(ready));
                        let Some((client, call)) = queues.pop() else { continue };
                        prop_assert!(ready(&lists[&client]));
                        prop_assert_eq!(lists.get_mut(&client).unwrap().0.pop_front(), Some(call));
                        overtaken.remove(&client);
                        for (other, state) in &lists {
                            if *other != client && ready(state) {
                                let times = overtaken.entry(*other).or_default().entry(client).or_default();
                                *times += 1;
                                prop_assert!(*times <= 1, "client {} waits while {} is served again", other, client);
                            }
                        }
                        if matches!(step, Step::PopAndHold) {
                            queues.hold(&client, call, bytes(1));
                            let state = lists.get_mut(&client).unwrap();
                            state.0.push_front(call);
                            state.1 = true;
                        }
                    }
                    Step::Release(client) => {
                        queues.release(&client);
                        lists.entry(client).or_default().1 = false;
                    }
                    Step::Forget(client) => {
                        let forgotten: Vec<usize> = queues.forget(&client).collect();
                        let (list, _) = lists.remove(&client).unwrap_or_default();
                        prop_assert_eq!(forgotten, Vec::from(list));
                        overtaken.remove(&client);
                    }
                }
            }
            prop_assert_eq!(queues.held.bytes, lists.values().map(|(list, _)| list.len()).sum::<usize>());
        }
    }
}
