//! What comes out of dhcpcd's control socket.

use super::lease;
use mif_core::BootTime;
use mif_core::dhcpcd::{LENGTH_WIDTH, MAX_MESSAGE, News, Report, Told, first_frame, read_length};

/// Reads any bytes as a stream of frames, and as one message.
pub fn check(stream: &[u8]) {
    check_message(stream);
    let mut rest = stream;
    while let Ok(Some((message, taken))) = first_frame(rest) {
        assert!(taken == message.len() + LENGTH_WIDTH && message.len() <= MAX_MESSAGE);
        assert_eq!(read_length(rest).map(|(length, _)| length), Some(message.len()));
        check_message(message);
        rest = &rest[taken..];
    }
}

fn check_message(message: &[u8]) {
    let Some(report) = Report::read(message) else { return };
    assert!(!report.interface.is_empty());
    let now = BootTime::from_micros(5_000_000);
    let grant = match report.news {
        News::Lease(grant) => grant,
        News::Dhcpv6(grant) => return lease::check_dhcpv6(&grant.lease(now)),
        News::ByHand(set) => return lease::check_settings(&set.settings),
        _ => return,
    };
    for told in [Told::Asked { at: now }, Told::Live { at: now }] {
        let first = grant.lease(told, BootTime::FOREVER, None);
        assert_eq!(first.address, grant.address());
        lease::check(&first);
        let again = grant.lease(Told::Asked { at: now }, BootTime::FOREVER, Some(&first));
        assert!(again.expires <= first.expires, "asking makes no lease longer");
    }
}
