//! The one place that reads the clock.

use mif_core::BootTime;
use nix::time::{ClockId, clock_gettime};

/// Now on CLOCK_BOOTTIME (the first number of /proc/uptime).
pub fn now() -> BootTime {
    // Cannot fail for a clock that every supported kernel has; time zero would only expire nothing.
    let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return BootTime::ZERO };
    let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_nsec() / 1_000);
    BootTime::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Waits for `deadline`; for ever without one.
pub async fn at(deadline: Option<BootTime>) {
    match deadline.and_then(|deadline| now().until(deadline)) {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
