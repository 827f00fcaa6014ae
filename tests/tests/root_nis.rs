//! Hosts of a NIS domain that DHCP named, asked of a real port mapper and a real NIS server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use mif::wire::{Family, TranslationSystem};
use mif::{ErrorKind, TranslateOptions, Translation};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Dnsmasq, Ypserv};
use mif_tests::peers;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::universe;
use mif_tests::wait::completes;
use zbus::OwnedObjectPath;

async fn translate(host: &ServedHost, pvd: &OwnedObjectPath, name: &str) -> mif::Result<Translation> {
    let options = TranslateOptions::default();
    completes(name, mif::translate_name(&host.connection, pvd, name, &options)).await
}

#[test]
fn ypserv_answers() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let node = universe.node("isp");
        let cable = Cable::between(universe.host().end("eth1"), node.end("lan")).await;
        cable.far().add_address("192.0.2.1/24");
        cable.far().add_address("192.0.2.77/24");
        Dnsmasq::on(&node, "lan")
            .dhcp4("192.0.2.50", "192.0.2.60", "10m")
            .argument("--dhcp-option-force=option:nis-domain,nis.test")
            .argument("--dhcp-option-force=option:nis-server,192.0.2.77")
            .start()
            .await;
        Dhcpcd::on(cable.near()).ipv4_only().start().await;
        let (_rpcbind, ypserv) = Ypserv::on(&universe, &node, "nis.test")
            .map(
                "hosts.byname",
                &[
                    ("printer", "203.0.113.5\tprinter.nis.test printer"),
                    ("both.test", "203.0.113.6 both.test"),
                ],
            )
            .map("ipnodes.byname", &[("both.test", "2001:db8:ffff::6 both.test")])
            .start()
            .await;
        let host = ServedHost::start(&universe).await;
        assert!(host.features().await.contains(&"nis".to_owned()));
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, true).await;
        for (name, expected, canonical) in [
            ("Printer", vec!["203.0.113.5"], "printer.nis.test"),
            // DNS says that it does not exist.
            ("both.test", vec!["2001:db8:ffff::6", "203.0.113.6"], "both.test"),
        ] {
            let answer = translate(&host, &pvd, name).await.unwrap_or_else(|error| {
                panic!("{name}: {error}\n{}", ypserv.log());
            });
            let addresses: BTreeSet<String> =
                answer.answers.iter().map(|it| it.address.to_string()).collect();
            assert_eq!(addresses, expected.into_iter().map(str::to_owned).collect());
            for answer in &answer.answers {
                assert_eq!(answer.source, Some(TranslationSystem::Nis));
                assert_eq!(answer.server.as_deref(), Some("192.0.2.77"));
                assert_eq!(answer.transport.as_deref(), Some("udp"));
                assert_eq!(answer.ttl, None);
            }
            assert_eq!(answer.canonical_name.as_deref(), Some(canonical));
        }
        let (kind, text) = refusal(translate(&host, &pvd, "nobody.test").await);
        assert_eq!(kind, ErrorKind::NameNotFound, "{text}");
    });
}
