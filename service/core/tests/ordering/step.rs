//! The steps that interleavings are made of.

use crate::network::{Happening, happenings};
use mif_core::subscription::WorkKind;
use proptest::prelude::*;

/// One step. Numbers that pick something are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Step {
    /// The network changes.
    Happen(Vec<Happening>),
    /// So many milliseconds go by, everybody waking when due.
    Pass(u64),
    /// So many milliseconds go by, nobody waking, and then the network changes.
    Oversleep(u64, Vec<Happening>),
    /// A subscriber calls; the first call makes it.
    Call(u8, Call),
    /// A subscriber leaves the bus without a word.
    Leave(u8),
    /// Work comes to something.
    Outcome(usize, End),
    /// So many messages are sent.
    Send(u16),
}

/// A call of a subscriber.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// Announce... of the object picked.
    Announce(Kind, usize),
    /// StopAnnouncing...
    Stop(Kind, usize),
    /// TranslateName or ConnectToAddress under an id on the provisioning domain picked.
    Start(WorkKind, u32, usize),
    /// StopTranslatingName or CancelConnection.
    StopWork(WorkKind, u32),
    /// TakeConnection.
    Take(u32),
    /// Close.
    Close,
}

/// The kinds of announcements.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Interfaces,
    Pvds,
    Elements,
    Addresses,
}

/// What work comes to.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Answer,
    Success,
    Failure,
}

/// Some steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60)
}

/// One of them.
pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => happenings().prop_map(Step::Happen),
        3 => passing().prop_map(Step::Pass),
        1 => (passing(), happenings()).prop_map(|(time, happenings)| Step::Oversleep(time, happenings)),
        12 => (0_u8..3, call()).prop_map(|(subscriber, call)| Step::Call(subscriber, call)),
        1 => (0_u8..3).prop_map(Step::Leave),
        3 => (any::<usize>(), end()).prop_map(|(work, end)| Step::Outcome(work, end)),
        5 => prop_oneof![4 => 1_u16..5, 1 => Just(300)].prop_map(Step::Send),
    ]
}

fn passing() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..260,
        2 => Just(250),
        3 => 500_u64..5_000,
        1 => Just(31_000),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let work = || prop_oneof![Just(WorkKind::Translation), Just(WorkKind::Connection)];
    let id = || 1_u32..3;
    prop_oneof![
        8 => (kind(), any::<usize>()).prop_map(|(kind, pick)| Call::Announce(kind, pick)),
        2 => (kind(), any::<usize>()).prop_map(|(kind, pick)| Call::Stop(kind, pick)),
        4 => (work(), id(), any::<usize>()).prop_map(|(kind, id, pick)| Call::Start(kind, id, pick)),
        1 => (work(), id()).prop_map(|(kind, id)| Call::StopWork(kind, id)),
        1 => id().prop_map(Call::Take),
        1 => Just(Call::Close),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Interfaces), Just(Kind::Pvds), Just(Kind::Elements), Just(Kind::Addresses)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![1 => Just(End::Answer), 2 => Just(End::Success), 1 => Just(End::Failure)]
}
