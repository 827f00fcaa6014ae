//! Text for people.

use std::time::Duration;

use mif::wire::{Deadline, Family};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A time left, in at most two units: `29 min 55 s`, `23 h 59 min`, `30 d`. Fractions are cut off.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (whole, unit, part, part_unit) = match seconds {
        0..MINUTE => return format!("{seconds} s"),
        MINUTE..HOUR => (seconds / MINUTE, "min", seconds % MINUTE, "s"),
        HOUR..DAY => (seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        _ => (seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    };
    if part == 0 { format!("{whole} {unit}") } else { format!("{whole} {unit} {part} {part_unit}") }
}

/// A short time that was measured: `850 us`, `1.2 ms`, `2.5 s`.
pub fn elapsed(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// How long until a deadline: `for 29 min 55 s`, `for ever`, or `until now` when it has passed.
pub fn lasts(deadline: Deadline, now: Duration) -> String {
    match deadline.remaining(now) {
        None => "for ever".to_owned(),
        Some(Duration::ZERO) => "until now".to_owned(),
        Some(left) => format!("for {}", self::duration(left)),
    }
}

/// Whole seconds until a deadline, for JSON; `None` is for ever.
pub fn seconds_left(deadline: Deadline, now: Duration) -> Option<u64> {
    deadline.remaining(now).map(|left| left.as_secs())
}

/// A family as people write it.
pub fn family(family: &Family) -> &str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
        Family::Dual => "IPv4 and IPv6",
        other => other.as_str(),
    }
}

/// Puts a line under a text, without spaces at its end.
pub fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The text, or as much of it as fits in `width` characters, with a mark where it was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `1 interface`, `2 interfaces`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (1_795, "29 min 55 s"),
            (3_600, "1 h"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d"),
            (90_061, "1 d 1 h"),
            (2_592_000, "30 d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_millis(59_999)), "59 s");
    }

    #[test]
    fn measured_times_keep_one_decimal() {
        assert_eq!(elapsed(Duration::from_micros(850)), "850 us");
        assert_eq!(elapsed(Duration::from_micros(1_240)), "1.2 ms");
        assert_eq!(elapsed(Duration::from_millis(2_500)), "2.5 s");
    }

    #[test]
    fn deadlines_are_told_from_now() {
        let now = Duration::from_secs(1_000);
        assert_eq!(lasts(Deadline::Never, now), "for ever");
        assert_eq!(lasts(Deadline::At(Duration::from_secs(1_060)), now), "for 1 min");
        assert_eq!(lasts(Deadline::At(Duration::from_secs(10)), now), "until now");
        assert_eq!(seconds_left(Deadline::Never, now), None);
        assert_eq!(seconds_left(Deadline::At(Duration::from_secs(10)), now), Some(0));
    }
}
