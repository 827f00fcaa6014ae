//! Random storms and clients for as long as one likes, with an oracle: at each quiet point what the service shows is
//! what `ip` and the routers say, and the service is no bigger than it was.
//!
//! A run is told by its seed: the same seed gives the same storms, though not the same moments.

mod clients;
mod oracle;
mod random;
mod storm;
mod world;

use std::time::{Duration, Instant};

use crate::served_host::ServedHost;
use crate::tally;
use crate::universe::Universe;
use clients::Clients;
pub use oracle::Report;
use oracle::Resources;
use random::Random;
use world::World;

/// How long storms last between two quiet points.
const STORM: Duration = Duration::from_secs(6);
/// After so many quiet points everything that is made once has been made: what grows from here on is a leak.
const WARM_UP: u32 = 3;
/// How much the service's memory may differ from one quiet point to another: what an allocator keeps.
const SLACK_KILOBYTES: u64 = 12 << 10;

/// Storms for `duration`, then tells what was done and seen.
///
/// # Panics
/// When a quiet point shows what is not so, or the service has grown or left the bus.
pub async fn run(universe: &Universe, seed: u64, duration: Duration, tell: impl Fn(&Report)) -> Report {
    let mut random = Random::new(seed);
    let mut world = World::new(universe).await;
    let host = ServedHost::start_with(universe, |settings| settings.log("warn")).await;
    let since = Instant::now();
    let mut report = Report::new(seed);
    let mut warm: Option<Resources> = None;
    while since.elapsed() < duration || report.quiet_points <= WARM_UP {
        let clients = Clients::start(&host.bus, random.next());
        let storm = Instant::now();
        while storm.elapsed() < STORM {
            report.faults += storm::strike(&world, &host, &mut random);
        }
        report.calls += clients.stop().await;
        world.calm_down().await;
        oracle::agrees(&world, &host).await;
        let resources = Resources::settled(&host, warm.as_ref()).await;
        report.quiet_points += 1;
        report.seconds = since.elapsed().as_secs();
        report.last = resources.to_string();
        match &warm {
            None if report.quiet_points >= WARM_UP => {
                report.first = resources.to_string();
                warm = Some(resources);
            }
            None => {}
            Some(warm) => resources.no_bigger_than(warm),
        }
        tell(&report);
    }
    assert!(host.mifd.process().exit_status().is_none(), "mifd has ended");
    tally::faults(usize::try_from(report.faults).unwrap_or(usize::MAX));
    report
}
