//! How much is asked at a time.

use crate::contender::{Contender, Contenders};
use futures_util::{StreamExt, stream};
use std::time::{Duration, Instant};

/// How names are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Outstanding at a time.
    pub outstanding: usize,
    /// The same name again and again.
    pub cached: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Half of the answers took less.
    pub median: Duration,
    /// Answers a second.
    pub rate: f64,
    /// CPU time of the contender's process for each answer.
    pub cpu: Duration,
}

impl Load {
    /// All.
    pub const ALL: [Self; 6] = [
        Self { outstanding: 1, cached: false },
        Self { outstanding: 8, cached: false },
        Self { outstanding: 64, cached: false },
        Self { outstanding: 1, cached: true },
        Self { outstanding: 8, cached: true },
        Self { outstanding: 64, cached: true },
    ];

    /// Asks `contender` so.
    pub async fn put(
        self,
        contenders: &Contenders,
        contender: Contender,
        round: usize,
        translations: usize,
    ) -> Measured {
        // Many at a time are over soon: more of them make a longer measurement.
        let count = if self.outstanding == 1 { translations } else { translations * 10 };
        let name = |n: usize| {
            if self.cached {
                "cached.bench.test".to_owned()
            } else {
                format!("n{n}.r{round}.o{}.{}.bench.test", self.outstanding, contender.name())
            }
        };
        contenders.ask(contender, &name(count)).await;
        let (before, begin) = (contenders.cpu(contender), Instant::now());
        let mut times: Vec<Duration> = stream::iter(0..count)
            .map(|n| {
                let name = name(n);
                async move {
                    let since = Instant::now();
                    contenders.ask(contender, &name).await;
                    since.elapsed()
                }
            })
            .buffer_unordered(self.outstanding)
            .collect()
            .await;
        let whole = begin.elapsed();
        let cpu = contenders.cpu(contender).saturating_sub(before);
        times.sort();
        Measured {
            median: times[times.len() / 2],
            rate: count as f64 / whole.as_secs_f64(),
            cpu: cpu / u32::try_from(count).unwrap_or(u32::MAX),
        }
    }
}
