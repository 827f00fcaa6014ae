//! O8: what becomes of a subscriber that lost a message. The test is the bus here.

use crate::heard::Heard;
use crate::rig::{ETH0, MANAGER, PEER, ROOT, SUBSCRIBER};
use crate::rig::{options, up, with_service};
use zbus::{Message, OwnedObjectPath};

const BUS: &str = "org.freedesktop.DBus";
const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";

/// What the bus says of a message that it does not deliver.
fn not_delivered(message: &Message) -> Message {
    let number = message.primary_header().serial_num();
    let twin = Message::method_call(ROOT, "Any").serial(number).build(&()).unwrap();
    Message::error(&twin.header(), LIMITS_EXCEEDED).sender(BUS).build(&("no room",)).unwrap()
}

/// The answer of the bus to a question.
fn answer(question: &Heard) -> Message {
    Message::method_return(&question.message().header()).sender(BUS).build(&("an identifier",)).unwrap()
}

#[test]
fn whoever_lost_a_message_hears_that_and_nothing_else() {
    const LINKS: u32 = 5_000;
    let links: Vec<_> = (ETH0..ETH0 + LINKS).map(up).collect();
    with_service(links, |mut rig| async move {
        let body = ("loser", options::<u32>(&[]));
        let made = rig.call(ROOT, MANAGER, "CreateSubscriber", &body).await.unwrap();
        let loser = made.body().deserialize::<OwnedObjectPath>().unwrap().to_string();
        // Others that list as well take their turns, so that its listing goes on for long enough.
        let mut others = Vec::new();
        for number in 1..8 {
            let other = rig.subscribe(&format!("other_{number}")).await;
            others.push(rig.post(&other, SUBSCRIBER, "AnnounceInterfaces", &()).await);
        }
        let listing = rig.post(&loser, SUBSCRIBER, "AnnounceInterfaces", &()).await;
        let behind = rig.post(&loser, SUBSCRIBER, "StopAnnouncingInterfaces", &()).await;
        rig.call(ROOT, PEER, "Ping", &()).await.unwrap();
        rig.send(&not_delivered(&made)).await;

        let heard = rig.until(|heard| heard.what == "Closed").await;
        let closed = heard.last().unwrap();
        assert_eq!((closed.path.as_str(), closed.words().as_str()), (loser.as_str(), "Closed overrun"));
        // A count would say that all of it was told.
        let of_calls = heard.iter().filter(|heard| heard.is_reply_to(listing) || heard.is_reply_to(behind));
        let answers: Vec<&str> = of_calls.map(|heard| heard.what.as_str()).collect();
        assert_eq!(answers, [UNKNOWN_OBJECT; 2]);
        let told = heard.iter().filter(|heard| heard.path == loser).count();
        assert!(told < LINKS as usize / 2, "{told} messages: the listing was over too soon");

        // The others hear everything, and it does not hear a word more.
        for other in others {
            let reply = rig.reply_to(other).await.unwrap();
            assert_eq!(reply.body().deserialize::<u32>().unwrap(), LINKS + 1);
        }
        rig.happen([up(ETH0 + LINKS)]).await;
        let rest = rig.settled().await;
        let spoken_to: Vec<String> =
            rest.iter().filter(|heard| heard.path == loser).map(Heard::words).collect();
        assert!(spoken_to.is_empty(), "{spoken_to:?}");
        let refused = rig.call(&loser, SUBSCRIBER, "Close", &()).await.unwrap_err();
        assert_eq!(refused.0, UNKNOWN_OBJECT);

        // Once the bus has taken that word, its place and its token are free.
        let question = rest.iter().find(|heard| heard.what == "GetId").expect("the bus is asked");
        rig.send(&answer(question)).await;
        assert_eq!(rig.subscribe("loser").await, loser);
        rig.call(&loser, SUBSCRIBER, "AnnounceInterfaces", &()).await.unwrap();
    });
}
