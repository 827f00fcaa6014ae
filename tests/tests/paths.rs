//! Proof of path: what is sent in a provisioning domain leaves by its own router, whatever else is on the link.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, TcpStream};
use std::os::fd::OwnedFd;

use mif::{ConnectRequest, ConnectedSocket, ErrorKind, connect_to_address};
use mif_tests::echo::{ECHO_PORT, Greeting};
use mif_tests::routing;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::topology::{OneLinkTwoRouters, SERVER_BEHIND_BOTH};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes, eventually};
use zbus::OwnedObjectPath;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn connect(host: &ServedHost, pvd: &OwnedObjectPath, to: &str) -> mif::Result<ConnectedSocket> {
    let request = ConnectRequest::new(ip(to), ECHO_PORT);
    completes(&format!("the outcome of {request:?}"), connect_to_address(&host.connection, pvd, &request))
        .await
}

async fn greeting(socket: OwnedFd) -> Greeting {
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    tokio::task::spawn_blocking(move || Greeting::read(&stream)).await.unwrap().unwrap()
}

/// One link, two routers, mifd, and the PvD of each router, in the order of the routers.
struct SharedLink {
    network: OneLinkTwoRouters,
    host: ServedHost,
    pvds: [OwnedObjectPath; 2],
}

impl SharedLink {
    async fn start(universe: &Universe, config: &str) -> Self {
        let network = OneLinkTwoRouters::start(universe).await;
        let host = ServedHost::start_with(universe, |settings| settings.config(config)).await;
        let pvds = pvds_of(&network, &host).await;
        Self { network, host, pvds }
    }

    /// Nothing was dropped for its source, and each router forwarded something.
    fn check_counters(&self) {
        for router in &self.network.routers {
            let (dropped, forwarded) = router.dropped_and_forwarded();
            assert_eq!(dropped, 0, "{} got packets of the other's prefix", router.node().name());
            assert!(forwarded > 0, "nothing came through {}", router.node().name());
        }
    }

    /// A connection in PvD `number` (from 1) gets through, from its own prefix.
    async fn gets_through(&self, number: usize) {
        let connected = connect(&self.host, &self.pvds[number - 1], SERVER_BEHIND_BOTH).await.unwrap();
        let seen = greeting(connected.socket).await;
        assert!(seen.source.to_string().starts_with(&format!("2001:db8:{number}:")), "{seen:?}");
    }
}

async fn pvds_of(network: &OneLinkTwoRouters, host: &ServedHost) -> [OwnedObjectPath; 2] {
    eventually("a PvD with an address for each router", async || {
        let state = host.state().await;
        let found = network.routers.each_ref().map(|router| {
            let id = format!("implicit:eth1:ipv6:{}", router.link_local());
            let usable = state.pvds().find(|pvd| pvd.id == id && !pvd.addresses.is_empty());
            usable.map(|pvd| pvd.path.clone())
        });
        match found {
            [Some(first), Some(second)] => Ok([first, second]),
            _ => Err(format!("{state:#?}")),
        }
    })
    .await
}

#[test]
fn each_pvd_of_a_link_leaves_by_its_own_router() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "").await;
        for _ in 0..20 {
            for number in [1, 2] {
                shared.gets_through(number).await;
            }
        }
        shared.check_counters();
        assert_eq!(routing::tables(universe.host()).len(), 2);
    });
}

#[test]
fn switched_off_there_is_no_rule_and_no_connection_on_a_shared_link() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "[routing]\nenabled = false\n").await;
        for pvd in &shared.pvds {
            let (kind, text) = refusal(connect(&shared.host, pvd, SERVER_BEHIND_BOTH).await);
            assert_eq!(kind, ErrorKind::NotSupported);
            assert!(text.contains("shares its interface"), "{text}");
        }
        assert!(routing::rules(universe.host()).is_empty());
        for router in &shared.network.routers {
            assert_eq!(router.dropped_and_forwarded(), (0, 0), "not one packet was sent");
        }
    });
}
