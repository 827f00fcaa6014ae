//! The two clocks: the one deadlines are counted on, and the one on the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Time since the start of the machine, suspended time included (CLOCK_BOOTTIME). A machine without that
/// clock counts deadlines from zero.
pub fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Time since 1970.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The local time of day of a time since 1970, as `12:34:56.789`.
pub fn time_of_day(since_1970: Duration) -> String {
    let seconds = libc::time_t::try_from(since_1970.as_secs()).unwrap_or_default();
    // SAFETY: tm is plain numbers and a pointer that localtime_r sets; all zero is a valid value of it.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types; localtime_r keeps neither.
    let converted = unsafe { libc::localtime_r(&raw const seconds, &raw mut local) };
    if converted.is_null() {
        return format!("{}.{:03}", since_1970.as_secs(), since_1970.subsec_millis());
    }
    format!("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec, since_1970.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_has_milliseconds() {
        let text = time_of_day(Duration::from_millis(1_700_000_000_042));
        assert_eq!(text.len(), "12:34:56.789".len());
        // Time zones differ by whole minutes.
        assert!(text.ends_with(":20.042"), "{text}");
    }

    #[test]
    fn the_machine_has_been_up_for_a_while() {
        assert!(since_boot() > Duration::ZERO);
    }
}
