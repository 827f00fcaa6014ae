//! Limits, exact at the edge.

use crate::rig::{ETH0, MANAGER, ROOT, SUBSCRIBER};
use crate::rig::{call, options, up, with_service};

const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";

#[test]
fn eight_subscribers_and_not_nine() {
    with_service(vec![], |mut rig| async move {
        let mut subscribers = Vec::new();
        for number in 0..8 {
            subscribers.push(rig.subscribe(&format!("number_{number}")).await);
        }
        for _ in 0..3 {
            let body = ("number_8", options::<u32>(&[]));
            let (name, message) = rig.call(ROOT, MANAGER, "CreateSubscriber", &body).await.unwrap_err();
            assert_eq!(name, LIMITS_EXCEEDED);
            assert!(message.contains('8') && message.contains("subscribers-per-client"), "{message}");
        }
        rig.call(&subscribers[3], SUBSCRIBER, "Close", &()).await.unwrap();
        rig.subscribe("number_8").await;
        let body = ("number_9", options::<u32>(&[]));
        rig.call(ROOT, MANAGER, "CreateSubscriber", &body).await.unwrap_err();
    });
}

#[test]
fn a_wrong_create_subscriber_takes_no_place() {
    with_service(vec![], |mut rig| async move {
        for _ in 0..20 {
            let body = ("a-b", options::<u32>(&[]));
            rig.call(ROOT, MANAGER, "CreateSubscriber", &body).await.unwrap_err();
        }
        for number in 0..8 {
            rig.subscribe(&format!("number_{number}")).await;
        }
    });
}

#[test]
fn sixty_four_unanswered_requests_and_not_more() {
    const LINKS: u32 = 5_000;
    const CALLS: usize = 100;
    let links: Vec<_> = (ETH0..ETH0 + LINKS).map(up).collect();
    with_service(links, |mut rig| async move {
        let eager = rig.subscribe("eager").await;
        let mut listings = vec![call(&eager, SUBSCRIBER, "AnnounceInterfaces").build(&()).unwrap()];
        // Others that list as well take their turns, so that the first listing goes on for long enough.
        for number in 1..8 {
            let other = rig.subscribe(&format!("other_{number}")).await;
            listings.push(call(&other, SUBSCRIBER, "AnnounceInterfaces").build(&()).unwrap());
        }
        let stop = || call(&eager, SUBSCRIBER, "StopAnnouncingInterfaces").build(&()).unwrap();
        let calls: Vec<_> = std::iter::repeat_with(stop).take(CALLS).collect();
        let others: Vec<_> = listings.split_off(1);
        rig.send_all(&[others, listings, calls.clone()].concat()).await;
        let mut refused = Vec::new();
        for (place, call) in calls.iter().enumerate() {
            if let Err((name, message)) = rig.reply_to(call.primary_header().serial_num()).await {
                assert_eq!(name, LIMITS_EXCEEDED);
                assert!(message.contains("64"), "{message}");
                refused.push(place);
            }
        }
        // The listing is the first of the 64.
        assert_eq!(refused, (63..CALLS).collect::<Vec<_>>());
        rig.call(&eager, SUBSCRIBER, "StopAnnouncingInterfaces", &()).await.expect("when all are answered");
    });
}
