//! Time left, in words.

use std::time::Duration;

use gettextrs::gettext;
use mif::wire::Deadline;

use super::words::fill;

/// Below this a deadline is near: said in words and by colour.
const SOON: Duration = Duration::from_secs(60);

/// Time left until a deadline, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// In words, with two units at most.
    pub text: String,
    /// It ends within a minute.
    pub soon: bool,
}

/// Time left at `now` (CLOCK_BOOTTIME).
pub fn left(deadline: Deadline, now: Duration) -> Left {
    match deadline.remaining(now) {
        None => Left { text: gettext("forever"), soon: false },
        Some(Duration::ZERO) => Left { text: gettext("expired"), soon: true },
        Some(left) if left < SOON => {
            // Translators: time left, less than a minute: "soon, 42 s"
            Left { text: fill(&gettext("soon, {time}"), &[("time", &span(left))]), soon: true }
        }
        Some(left) => Left { text: span(left), soon: false },
    }
}

/// How long what [`left`] says stays the same, at `now` (CLOCK_BOOTTIME); `None` for ever.
pub fn stays(deadline: Deadline, now: Duration) -> Option<Duration> {
    let left = deadline.remaining(now).filter(|left| !left.is_zero())?;
    let seconds = left.as_secs();
    // Of the smaller unit that is shown.
    let unit = match seconds {
        86_400.. => 3_600,
        3_600.. => 60,
        _ => 1,
    };
    Some(left - Duration::from_secs(seconds / unit * unit))
}

/// A span of time with two units at most, rounded down to whole seconds.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let units = if days > 0 {
        (gettext("{first} d {second} h"), days, hours)
    } else if hours > 0 {
        (gettext("{first} h {second} min"), hours, minutes)
    } else if minutes > 0 {
        (gettext("{first} min {second} s"), minutes, seconds % 60)
    } else {
        (gettext("{first} s"), seconds, 0)
    };
    let (template, first, second) = units;
    fill(&template, &[("first", &first.to_string()), ("second", &second.to_string())])
}

/// How long something took: milliseconds, with a decimal below ten.
pub fn took(time: Duration) -> String {
    let micros = time.as_micros();
    let number = if micros < 10_000 {
        format!("{}.{}", micros / 1_000, micros / 100 % 10)
    } else {
        (micros / 1_000).to_string()
    };
    fill(&gettext("{number} ms"), &[("number", &number)])
}

/// The nearer of two deadlines.
pub fn nearer(one: Deadline, other: Deadline) -> Deadline {
    match (one, other) {
        (Deadline::Never, other) => other,
        (one, Deadline::Never) => one,
        (Deadline::At(one), Deadline::At(other)) => Deadline::At(one.min(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_stays_as_long_as_it_is_said_to_and_no_longer(
            millis in prop_oneof![0_u64..120_000, 0_u64..10_000_000, 0_u64..400_000_000],
            part in 0_u32..1_000,
        ) {
            let end = Duration::from_millis(500_000_000);
            let (deadline, now) = (Deadline::At(end), end - Duration::from_millis(millis));
            match stays(deadline, now) {
                None => prop_assert_eq!(millis, 0),
                Some(long) => {
                    prop_assert_eq!(left(deadline, now + long * part / 1_000), left(deadline, now));
                    prop_assert_ne!(left(deadline, now + long + Duration::from_nanos(1)), left(deadline, now));
                }
            }
        }
    }

    #[test]
    fn what_has_no_end_never_changes() {
        assert_eq!(stays(Deadline::Never, Duration::from_secs(1)), None);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (1_795, "29 min 55 s"),
            (3_600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d 0 h"),
            (200_000, "2 d 7 h"),
        ];
        for (seconds, text) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn what_ends_within_a_minute_says_so() {
        let now = Duration::from_secs(1_000);
        let at = |seconds| Deadline::At(Duration::from_secs(seconds));
        assert_eq!(left(at(1_060), now), Left { text: "1 min 0 s".into(), soon: false });
        assert_eq!(left(at(1_059), now), Left { text: "soon, 59 s".into(), soon: true });
        assert_eq!(left(at(1_000), now), Left { text: "expired".into(), soon: true });
        assert_eq!(left(Deadline::Never, now), Left { text: "forever".into(), soon: false });
    }

    #[test]
    fn short_times_have_a_decimal() {
        assert_eq!(took(Duration::from_micros(1_260)), "1.2 ms");
        assert_eq!(took(Duration::from_micros(12_600)), "12 ms");
    }

    #[test]
    fn never_is_farther_than_any_time() {
        let at = Deadline::At(Duration::from_secs(1));
        assert_eq!(nearer(Deadline::Never, at), at);
        assert_eq!(nearer(at, Deadline::Never), at);
        assert_eq!(nearer(Deadline::Never, Deadline::Never), Deadline::Never);
    }
}
