#![allow(clippy::unwrap_used)]

use super::*;

type Subject = Unread<&'static str, u8>;

/// So long that it counts as a thousand bytes.
const LENGTH: usize = 1_000 - OVERHEAD as usize;
const BOUNDS: Bounds = Bounds { spacing: 3_000, per_client: 10_000, per_user: 15_000, little: 2_000 };

const NOBODY: [u8; 0] = [];

fn silent() -> Subject {
    let mut unread = Subject::new(BOUNDS);
    unread.tried(1, 2);
    unread.bus_answered(2);
    assert!(unread.bus_is_silent());
    unread
}

/// Sends messages, and asks behind them when that is due, by numbers from `number` on. Those given up.
fn send(unread: &mut Subject, to: (&'static str, u32, u8), messages: u32, number: u32) -> Vec<u8> {
    let mut given_up = Vec::new();
    for message in 0..messages {
        given_up.extend(unread.sent(&to.0, to.1, Some(to.2), LENGTH));
        if unread.is_to_be_asked(&to.0) {
            unread.asked(&to.0, number + message);
        }
    }
    given_up
}

#[test]
fn a_bus_that_tells_of_a_message_for_nobody_needs_no_questions() {
    let mut unread = Subject::new(BOUNDS);
    assert!(!unread.bus_is_silent());
    unread.tried(1, 2);
    assert!(!unread.bus_is_silent(), "it is not known yet");
    unread.undelivered(7);
    unread.undelivered(1);
    unread.bus_answered(2);
    assert!(!unread.bus_is_silent());
    assert_eq!(send(&mut unread, ("a", 0, 1), 1_000, 100), NOBODY);
    assert!(unread.clients.is_empty() && !unread.is_to_be_asked(&"a"));
}

#[test]
fn who_is_sent_little_is_never_asked() {
    let mut unread = silent();
    send(&mut unread, ("a", 0, 1), 2, 100);
    assert!(unread.questions.is_empty());
    send(&mut unread, ("a", 0, 1), 1, 100);
    assert_eq!(unread.questions.keys().copied().collect::<Vec<_>>(), [100]);
}

#[test]
fn who_answers_may_be_sent_any_amount() {
    let mut unread = silent();
    for round in 0..100 {
        assert_eq!(send(&mut unread, ("a", 0, 1), 9, round * 10), NOBODY);
        let last = *unread.questions.keys().last().unwrap();
        // The last answer stands for those before it.
        unread.answered(&"a", last);
        assert!(unread.questions.is_empty() && unread.users.is_empty());
    }
}

#[test]
fn who_leaves_too_much_unanswered_is_given_up_at_the_edge() {
    let mut unread = silent();
    assert_eq!(send(&mut unread, ("a", 0, 1), 5, 100), NOBODY);
    assert_eq!(send(&mut unread, ("a", 0, 2), 5, 200), NOBODY);
    assert_eq!(send(&mut unread, ("a", 0, 2), 1, 300), [1, 2], "both have something unread");
}

#[test]
fn a_subscriber_whose_messages_are_read_is_not_given_up_for_another_of_the_same_client() {
    let mut unread = silent();
    send(&mut unread, ("a", 0, 1), 3, 100);
    unread.answered(&"a", 102);
    assert_eq!(send(&mut unread, ("a", 0, 2), 11, 200), [2]);
}

#[test]
fn replies_count_and_are_not_lost_without_a_word() {
    let mut unread = silent();
    send(&mut unread, ("a", 0, 1), 1, 100);
    for _ in 0..9 {
        assert_eq!(unread.sent(&"a", 0, None, LENGTH), NOBODY);
    }
    assert_eq!(unread.sent(&"a", 0, None, LENGTH), [1]);
}

#[test]
fn an_answer_of_somebody_else_says_nothing() {
    let mut unread = silent();
    send(&mut unread, ("a", 0, 1), 9, 100);
    unread.answered(&"b", 108);
    assert_eq!(send(&mut unread, ("a", 0, 1), 2, 200), [1]);
}

#[test]
fn who_answers_must_read_before_it_is_served_again_and_who_never_did_begins_anew() {
    let mut unread = silent();
    send(&mut unread, ("a", 0, 1), 3, 100);
    unread.answered(&"a", 102);
    assert_eq!(send(&mut unread, ("a", 0, 1), 11, 200), [1]);
    assert_eq!(send(&mut unread, ("a", 0, 2), 1, 300), [2], "it still has not read");
    let last = *unread.questions.keys().last().unwrap();
    unread.answered(&"a", last);
    assert_eq!(send(&mut unread, ("a", 0, 3), 1, 400), NOBODY);

    assert_eq!(send(&mut unread, ("mute", 1, 1), 11, 500), [1]);
    assert_eq!(send(&mut unread, ("mute", 1, 2), 10, 600), NOBODY);
    assert_eq!(send(&mut unread, ("mute", 1, 2), 1, 700), [2]);
}

#[test]
fn of_the_clients_of_a_user_the_one_that_reads_least_is_given_up() {
    let mut unread = silent();
    send(&mut unread, ("a", 7, 1), 9, 100);
    send(&mut unread, ("b", 7, 2), 5, 200);
    send(&mut unread, ("c", 7, 3), 1, 300);
    send(&mut unread, ("d", 8, 4), 9, 400);
    assert_eq!(send(&mut unread, ("c", 7, 3), 1, 500), [1]);
    assert_eq!(unread.users[&8], 9_000, "another user has its own room");
}

#[test]
fn a_question_that_the_bus_has_no_room_for_ends_all_of_that_user_that_have_something_unread() {
    let mut unread = silent();
    send(&mut unread, ("a", 7, 1), 3, 100);
    send(&mut unread, ("b", 7, 2), 1, 200);
    send(&mut unread, ("c", 7, 3), 3, 300);
    unread.answered(&"c", 302);
    send(&mut unread, ("d", 8, 4), 1, 400);
    assert_eq!(unread.refused(999, Refusal::Full), NOBODY);
    assert_eq!(unread.refused(102, Refusal::Full), [1, 2]);
    assert_eq!(unread.refused(102, Refusal::Full), NOBODY);
}

#[test]
fn a_client_that_may_not_be_asked_is_left_alone() {
    let mut unread = silent();
    send(&mut unread, ("a", 7, 1), 9, 100);
    assert_eq!(unread.refused(102, Refusal::Denied), NOBODY);
    assert!(unread.questions.is_empty() && unread.users.is_empty());
    assert_eq!(send(&mut unread, ("a", 7, 1), 100, 200), NOBODY);
    assert!(unread.questions.is_empty());
}

#[test]
fn nothing_is_left_of_who_left() {
    let mut unread = silent();
    send(&mut unread, ("a", 7, 1), 9, 100);
    unread.forget(&"a");
    assert!(unread.clients.is_empty() && unread.users.is_empty() && unread.questions.is_empty());
    unread.answered(&"a", 102);
}
