//! The service under a service manager: when it is ready, that it lives, that it reads its configuration again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;

use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Mifd, MifdSettings};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use nix::sys::signal::Signal;
use tokio::net::UnixDatagram;
use zbus::fdo::DBusProxy;

/// Where mifd is told to tell.
const SOCKET: &str = "/run/testbed/notify";
const CONFIG: &str = "/run/testbed/mifd.toml";

/// A service manager, as far as sd_notify(3) goes.
struct Manager(UnixDatagram);

impl Manager {
    fn new() -> Self {
        Self(UnixDatagram::bind(SOCKET).unwrap())
    }

    fn settings(universe: &Universe, bus: &Bus) -> MifdSettings {
        MifdSettings::new(universe, bus).environment("NOTIFY_SOCKET", SOCKET)
    }

    /// The next message, as the assignments that it is made of.
    async fn next(&self) -> BTreeMap<String, String> {
        let mut buffer = [0; 4_096];
        let length = completes("a word of mifd to its manager", self.0.recv(&mut buffer)).await.unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        text.lines().map(|line| line.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect()
    }

    /// The next one with `key`; others are passed over.
    async fn until(&self, key: &str) -> BTreeMap<String, String> {
        loop {
            let message = self.next().await;
            if message.contains_key(key) {
                return message;
            }
        }
    }

    /// Forgets what has come.
    fn drain(&self) {
        let mut buffer = [0; 4_096];
        while self.0.try_recv(&mut buffer).is_ok() {}
    }
}

async fn serve(bus: Bus, mifd: Mifd) -> ServedHost {
    let connection = bus.connect().await;
    ServedHost { bus, mifd, connection }
}

#[test]
fn ready_means_that_everything_can_be_asked_and_stopping_comes_before_the_end() {
    universe::run(async |universe| {
        let manager = Manager::new();
        let bus = Bus::start(&universe).await;
        let connection = bus.connect().await;
        let process = Manager::settings(&universe, &bus).spawn();
        let first = manager.next().await;
        assert_eq!(first["READY"], "1");
        assert!(first["STATUS"].contains("org.ietf.Mif1"), "{first:?}");
        let names = DBusProxy::new(&connection).await.unwrap();
        assert!(names.name_has_owner("org.ietf.Mif1".try_into().unwrap()).await.unwrap());
        assert_eq!(mif::State::read(&connection).await.unwrap().interfaces.len(), 1);
        process.signal(Signal::SIGTERM);
        // No watchdog was asked for: nothing comes between.
        assert_eq!(manager.next().await["STOPPING"], "1");
        assert_eq!(process.ended().await.code(), Some(0));
    });
}

#[test]
fn a_service_that_is_stuck_gives_no_sign_of_life() {
    universe::run(async |universe| {
        let manager = Manager::new();
        let bus = Bus::start(&universe).await;
        let settings = Manager::settings(&universe, &bus).environment("WATCHDOG_USEC", "200000");
        let host = serve(bus, settings.start().await).await;
        for _ in 0..3 {
            assert_eq!(manager.until("WATCHDOG").await["WATCHDOG"], "1");
        }
        // A bus that takes nothing: the bus task gets stuck as soon as it has much to tell.
        host.bus.process().signal(Signal::SIGSTOP);
        universe.host().ip("link add busy type bridge");
        universe.host().ip("link set busy up");
        let mut rounds = 0;
        eventually("mifd to see that it is stuck", async || {
            // A provisioning domain that comes and goes is told of at once, each time.
            for word in ["add", "delete"] {
                universe.host().ip(&format!("address {word} 192.0.2.1/24 dev busy"));
            }
            rounds += 1;
            let log = host.mifd.process().log();
            if log.contains("has not moved since the last sign of life") { Ok(()) } else { Err(rounds) }
        })
        .await;
        manager.drain();
        let silence = tokio::time::timeout(std::time::Duration::from_secs(1), manager.next()).await;
        assert!(silence.is_err(), "{silence:?}");
        // It goes on when the bus does, and nothing is lost.
        host.bus.process().signal(Signal::SIGCONT);
        assert_eq!(manager.until("WATCHDOG").await["WATCHDOG"], "1");
        assert_eq!(host.state().await.interfaces.len(), 2);
    });
}

#[test]
fn a_new_configuration_takes_effect_and_a_wrong_one_does_not() {
    universe::run(async |universe| {
        let manager = Manager::new();
        let far = universe.node("far");
        let cable = Cable::between(universe.host().end("eth1"), far.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        let bus = Bus::start(&universe).await;
        let settings = Manager::settings(&universe, &bus).config("[interfaces]\ngrace-ms = 60000\n");
        let host = serve(bus, settings.start().await).await;
        let before = host.pvd("implicit:eth1:ipv4").await;
        manager.until("READY").await;
        far.ip("link set lan down");
        host.until("the carrier to be gone", |state| {
            let found = state.interfaces.iter().find(|interface| interface.name == "eth1");
            found.filter(|interface| interface.state.to_string() == "down").map(drop)
        })
        .await;

        // Wrong: said where, and everything stays.
        fs::write(CONFIG, "log = \"info\"\n[interfaces]\ngrace-ms = \"never\"\n").unwrap();
        host.mifd.process().signal(Signal::SIGHUP);
        let reloading = manager.until("RELOADING").await;
        assert!(reloading["MONOTONIC_USEC"].parse::<u64>().unwrap() > 0, "{reloading:?}");
        let ready = manager.until("READY").await;
        assert!(ready["STATUS"].contains("mifd.toml:3:12: interfaces.grace-ms is \"never\""), "{ready:?}");
        let log = host.mifd.process().log();
        assert!(log.contains("the configuration stays as it was: /run/testbed/mifd.toml:3:12:"), "{log}");
        assert_eq!(host.pvd("implicit:eth1:ipv4").await.path, before.path);

        // Right: a link that is in its grace already is judged by the new one.
        fs::write(CONFIG, "[interfaces]\ngrace-ms = 0\n").unwrap();
        host.mifd.process().signal(Signal::SIGHUP);
        manager.until("RELOADING").await;
        let ready = manager.until("READY").await;
        assert_eq!(ready["STATUS"], "serving org.ietf.Mif1");
        host.only_pvds(&[]).await;
        host.mifd.process().wait_for_log("the configuration was read again").await;
        assert!(host.mifd.process().exit_status().is_none());
    });
}
