//! Proof of path beside programs that manage the same links: what they do to rules, routes and addresses of their own
//! accord takes no connection to another router.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpStream;

use mif::wire::Family;
use mif::{ConnectRequest, connect_to_address};
use mif_tests::daemons::{NetworkManager, Networkd};
use mif_tests::echo::{ECHO_PORT, Greeting};
use mif_tests::peers;
use mif_tests::process::Process;
use mif_tests::routing;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{EVERYWHERE, Provider, answers, two_providers};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;

/// What the service says when it put something back.
const PUT_BACK: &str = "put back rules and routes";
/// What it says, once, of somebody who does not stop.
const KEEPS_REMOVING: &str = "somebody keeps removing";
/// What the package installs for networkd.
const SHIPPED: &str = include_str!("../../packaging/networkd/mif.conf");
/// As it comes: what others made is removed.
const AS_IT_COMES: &str = "[Network]\nSpeedMeter=no\n";

/// Two providers, both in use.
struct Setting {
    providers: [Provider; 2],
    host: ServedHost,
    /// How many connections each provider has seen.
    begun: u64,
    /// Its networkd, once it has one.
    networkd: Option<Process>,
}

impl Setting {
    async fn start(universe: &Universe) -> Self {
        let providers = two_providers(universe).await;
        let host = ServedHost::start(universe).await;
        let mut setting = Self { providers, host, begun: 0, networkd: None };
        setting.all_arrives().await;
        setting
    }

    /// Connections in each PvD, all of which come to their provider and none to the other.
    async fn all_arrives(&mut self) {
        let pvds = self.host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        for _ in 0..5 {
            for (pvd, provider) in pvds.iter().zip(&self.providers) {
                assert_eq!(answers(&self.host, pvd, EVERYWHERE).await, provider.node.name());
            }
            self.begun += 1;
        }
        for provider in &self.providers {
            let (dropped, begun) = provider.dropped_and_begun();
            assert!(dropped == 0 && begun >= self.begun, "{}: {dropped}, {begun}", provider.node.name());
        }
    }

    fn log(&self) -> String {
        self.host.mifd.process().log()
    }

    /// Starts networkd with the configuration that the links have already.
    async fn manage_by_networkd(&mut self, settings: &str) {
        let [first, second] = &self.providers;
        let section = |own: &str, router: &str, metric: u32| {
            format!(
                "[Network]\nAddress={own}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n\
                 [Route]\nGateway={router}\nMetric={metric}\n"
            )
        };
        let networkd = Networkd::on(first.cable.near().node())
            .settings(settings)
            .link(first.cable.near(), &section("192.0.2.2", "192.0.2.1", 100))
            .link(second.cable.near(), &section("198.51.100.2", "198.51.100.1", 200));
        self.networkd = Some(networkd.start().await);
        for link in ["eth1", "eth2"] {
            self.configured(link, 1).await;
        }
    }

    /// Waits until networkd has configured this link so many times.
    async fn configured(&self, link: &str, times: usize) {
        let said = format!("{link}: State changed: configuring -> configured");
        eventually(&format!("{said:?}, {times} times"), async || {
            let log = self.networkd.as_ref().unwrap().log();
            if log.matches(&said).count() >= times { Ok(()) } else { Err(log) }
        })
        .await;
    }

    /// Has networkd configure the first link anew, as people do after a change of its configuration: it takes the
    /// address away and gives it again. This was the first time when `times` is 2.
    async fn reconfigure(&self, times: usize) {
        let end = self.providers[0].cable.near();
        let networkd = ["org.freedesktop.network1", "/org/freedesktop/network1"];
        let call = ["org.freedesktop.network1.Manager", "ReconfigureLink", "i", &end.ifindex().to_string()];
        end.node().run("busctl", ["call"].into_iter().chain(networkd).chain(call));
        self.configured("eth1", times).await;
    }

    /// Waits until each link has a PvD that can be connected in.
    async fn usable(&self) {
        let request = ConnectRequest::new(EVERYWHERE.parse().unwrap(), ECHO_PORT);
        eventually("a connection in each PvD", async || {
            for pvd in self.host.pvds(["eth1", "eth2"], Family::Ipv4, false).await {
                let connected = connect_to_address(&self.host.connection, &pvd, &request).await;
                let stream = TcpStream::from(connected.map_err(|error| error.to_string())?.socket);
                Greeting::read(&stream).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        })
        .await;
    }
}

/// Waits until the rules are `rules` and two tables have routes.
async fn restored(universe: &Universe, rules: &[String]) {
    let node = universe.host();
    eventually("rules and tables to be there", async || {
        let (now, tables) = (routing::rules(node), routing::tables(node).len());
        if now == rules && tables == 2 { Ok(()) } else { Err(format!("{tables} tables, {now:#?}")) }
    })
    .await;
}

#[test]
fn what_networkd_takes_away_as_it_comes_is_put_back_but_not_for_ever() {
    universe::run(async |universe| {
        let mut setting = Setting::start(&universe).await;
        let rules = routing::rules(universe.host());
        setting.manage_by_networkd(AS_IT_COMES).await;
        setting.all_arrives().await;
        setting.reconfigure(2).await;
        setting.host.mifd.process().wait_for_log(PUT_BACK).await;
        restored(&universe, &rules).await;
        setting.usable().await;
        setting.all_arrives().await;

        // Again and again.
        for round in 2.. {
            assert!(round < 30, "it goes on for ever: {}", setting.log());
            setting.reconfigure(round + 1).await;
            eventually("that all is put back once more, or that it gives way", async || {
                let log = setting.log();
                let done = log.matches(PUT_BACK).count() >= round || log.contains(KEEPS_REMOVING);
                if done { Ok(()) } else { Err(log) }
            })
            .await;
            if setting.log().contains(KEEPS_REMOVING) {
                break;
            }
            restored(&universe, &rules).await;
        }
        assert_eq!(setting.log().matches(KEEPS_REMOVING).count(), 1);
    });
}

#[test]
fn with_the_settings_of_the_package_networkd_takes_nothing_away() {
    universe::run(async |universe| {
        let mut setting = Setting::start(&universe).await;
        let node = universe.host();
        let rules = routing::rules(node);
        setting.manage_by_networkd(SHIPPED).await;
        setting.all_arrives().await;
        for times in 2..5 {
            setting.reconfigure(times).await;
            setting.usable().await;
            setting.all_arrives().await;
        }
        restored(&universe, &rules).await;
        assert!(!setting.log().contains(PUT_BACK), "{}", setting.log());
        // Had anything been taken away, that would have been said.
        node.ip("rule delete priority 705");
        setting.host.mifd.process().wait_for_log(PUT_BACK).await;
    });
}

#[test]
fn network_manager_that_takes_over_both_links_changes_no_path() {
    universe::run(async |universe| {
        peers::mount();
        let mut setting = Setting::start(&universe).await;
        let node = universe.host();
        let rules = routing::rules(node);
        let profile = |own: &str, router: &str, metric: u32| {
            format!(
                "[ipv4]\nmethod=manual\naddress1={own}/24,{router}\nroute-metric={metric}\n\
                 [ipv6]\nmethod=link-local\n"
            )
        };
        let [first, second] = &setting.providers;
        let manager = NetworkManager::on(node)
            .link(first.cable.near(), &profile("192.0.2.2", "192.0.2.1", 100))
            .link(second.cable.near(), &profile("198.51.100.2", "198.51.100.1", 200))
            .start()
            .await;
        // The same PvDs have the same marks, and so the same rules.
        restored(&universe, &rules).await;
        setting.all_arrives().await;
        for (verb, object) in [("reapply", "device"), ("up", "connection")] {
            for link in ["eth1", "eth2"] {
                node.run("nmcli", [object, verb, link]);
            }
            restored(&universe, &rules).await;
            setting.all_arrives().await;
        }
        manager.terminate().await;
        restored(&universe, &rules).await;
        setting.all_arrives().await;
    });
}
