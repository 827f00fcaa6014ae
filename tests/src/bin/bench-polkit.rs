//! `cargo xtask bench polkit`: what it costs to ask polkit who may connect (root).
//!
//! A universe with one cable to a server, the real polkitd with a rule that allows, and mifd. In turn root, about whom
//! nobody is asked, and a user connect. Arguments: the connections of a round (500), the rounds (5).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mif::wire::Family;
use mif::{ConnectRequest, connect_to_address};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Mifd, Polkitd};
use mif_tests::echo::{ECHO_PORT, EchoServer};
use mif_tests::served_host::ServedHost;
use mif_tests::user::{ORDINARY_USER, connect_as};
use mif_tests::{peers, universe};
use zbus::{Connection, OwnedObjectPath};

const ALLOW: &str = "polkit.addRule(function(action) {
    return action.id == \"org.ietf.Mif1.connect\" ? polkit.Result.YES : polkit.Result.NOT_HANDLED;
});";

fn main() -> ExitCode {
    universe::run_program_as_root(async |universe| {
        let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
        let mut number = |default| arguments.next().map_or(Ok(default), |given| given);
        let (Ok(calls @ 1..), Ok(rounds @ 1..)) = (number(500), number(5)) else {
            say("usage: bench-polkit [CONNECTIONS [ROUNDS]], whole numbers from 1 on");
            return ExitCode::from(2);
        };
        peers::mount();
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address("192.0.2.1/24");
        let _echo = EchoServer::on(&server);
        let bus = Bus::start(&universe).await;
        let polkitd = Polkitd::start(&universe, &bus).await;
        polkitd.rules(ALLOW).await;
        let mifd = Mifd::start(&universe, &bus).await;
        let connection = bus.connect().await;
        let host = ServedHost { bus, mifd, connection };
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let user = connect_as(&host.bus, ORDINARY_USER).await;
        let (mut by_root, mut by_user) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            by_root.push(median(&host.connection, &pvd, calls).await);
            by_user.push(median(&user, &pvd, calls).await);
        }
        let [root, asked] = [by_root, by_user].map(middle);
        say(&format!("{rounds} rounds of {calls} connections; median of the rounds' medians, in us"));
        say(&format!("root, nobody is asked     {root:>6.0}"));
        say(&format!(
            "a user, polkit is asked   {asked:>6.0}   {:.1} times, {:.0} us more",
            asked / root,
            asked - root
        ));
        ExitCode::SUCCESS
    })
}

async fn median(client: &Connection, pvd: &OwnedObjectPath, calls: usize) -> f64 {
    let request = ConnectRequest::new([192, 0, 2, 1].into(), ECHO_PORT);
    let mut times = Vec::new();
    for _ in 0..calls {
        let since = Instant::now();
        let connected = connect_to_address(client, pvd, &request).await.expect("a connection");
        times.push(micros(since.elapsed()));
        drop(connected);
    }
    middle(times)
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
