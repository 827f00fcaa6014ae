//! The packages in a real Debian: installed, confined, used, upgraded and purged.
//!
//! Needs root and what `cargo xtask test --system` prepares.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif_tests::booted::Booted;
use mif_tests::topology::{SHARED_NAME, TwoIsps};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;

/// CAP_CHOWN, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW.
const CAPABILITIES: &str = "0000000000003401";

/// A system with the packages installed, between two ISPs.
async fn installed(universe: &Universe) -> (TwoIsps, Booted) {
    let isps = TwoIsps::without_clients(universe).await;
    for (number, network) in [(1, "192.0.2"), (2, "198.51.100")] {
        let link = format!("eth{number}");
        universe.host().ip(&format!("address add {network}.7/24 dev {link}"));
        universe.host().ip(&format!("route add default via {network}.1 dev {link} metric {number}00"));
    }
    let system = Booted::start(universe).await;
    let packages = system.packages();
    system.run(&format!("dpkg --install {packages}")).await;
    (isps, system)
}

/// One line of /proc/PID/status of the service.
async fn status(system: &Booted, field: &str) -> String {
    let line = format!("grep ^{field}: /proc/$(systemctl show --value --property MainPID mifd)/status");
    system.run(&line).await.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_fresh_install_is_up_confined_and_started_by_the_bus() {
    universe::run_as_root(async |universe| {
        let (_isps, system) = installed(&universe).await;
        assert_eq!(system.run("systemctl is-active mifd").await.trim(), "active");
        let journal = system.journal().await;
        assert!(!journal.contains("Failed with result") && !journal.contains("not allowed"), "{journal}");
        assert_eq!(system.run("systemctl show --value --property NRestarts mifd").await.trim(), "0");

        for field in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
            assert_eq!(status(&system, field).await, CAPABILITIES, "{field}");
        }
        assert_eq!(status(&system, "Seccomp").await, "2");
        assert_eq!(status(&system, "NoNewPrivs").await, "1");
        let uid = system.run("id --user mifd").await;
        assert_eq!(status(&system, "Uid").await, [uid.trim(); 4].join(" "));
        assert!(system.run("getent group mif").await.starts_with("mif:"));

        system.run("systemctl stop mifd").await;
        let tree = system.run("busctl tree --list org.ietf.Mif1").await;
        assert!(tree.contains("/org/ietf/Mif1/interface/"), "{tree}");
        assert_eq!(system.run("systemctl is-active mifd").await.trim(), "active");
        system.run("systemctl reload mifd && pkaction --action-id org.ietf.Mif1.connect").await;
    });
}

#[test]
fn an_ordinary_user_looks_and_translates_and_connects_when_allowed() {
    universe::run_as_root(async |universe| {
        let (isps, system) = installed(&universe).await;
        system.run("useradd visitor && useradd --groups mif worker").await;
        let visitor = "runuser --user visitor --";
        eventually("both provisioning domains in the status", async || {
            let status = system.try_run(&format!("{visitor} mifctl status")).await;
            let both =
                ["implicit:eth1:ipv4", "implicit:eth2:ipv4"].iter().all(|id| status.stdout.contains(id));
            if both { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
        let answer = system.try_run(&format!("{visitor} mifctl translate {SHARED_NAME}")).await;
        assert!(answer.stdout.contains(&isps.first.server_v6().to_string()), "{answer:?}");

        let server = isps.second.server_v4();
        let connect = format!("mifctl connect implicit:eth2:ipv4 {server} 7");
        // No session stands behind it, so polkit wants an administrator.
        let refused = system.try_run(&format!("{visitor} {connect}")).await;
        assert!(refused.code != 0 && refused.stderr.contains("org.ietf.Mif1.connect"), "{refused:?}");
        let worker = "runuser --user worker --";
        let refused = system.try_run(&format!("{worker} {connect}")).await;
        assert!(refused.code != 0, "a member of the group without the rules: {refused:?}");
        system.run("cp /usr/share/doc/mifd/examples/50-org.ietf.Mif1.rules /etc/polkit-1/rules.d/").await;
        eventually("the rules", async || {
            let allowed =
                system.try_run(&format!("{worker} {connect} -- sh -c 'stat -L -c %U /proc/self/fd/3'")).await;
            if allowed.stdout.trim() == "worker" { Ok(()) } else { Err(format!("{allowed:?}")) }
        })
        .await;
        let refused = system.try_run(&format!("{visitor} {connect}")).await;
        assert!(refused.code != 0, "the rules are for the group: {refused:?}");
    });
}

#[test]
fn an_upgrade_keeps_the_configuration_and_a_purge_leaves_nothing() {
    universe::run_as_root(async |universe| {
        let (_isps, system) = installed(&universe).await;
        system.run("sed -i 's/^#log = .*/log = \"debug\"/' /etc/mif/mifd.toml").await;
        let before = system.run("systemctl show --value --property MainPID mifd").await;
        let packages = system.packages();
        system.run(&format!("dpkg --install {packages}")).await;
        let after = system.run("systemctl show --value --property MainPID mifd").await;
        assert_ne!(before, after, "an upgrade restarts the service");
        assert!(system.run("cat /etc/mif/mifd.toml").await.contains("\nlog = \"debug\""));
        assert_eq!(system.run("dpkg --verify mifd mifctl").await, "??5?????? c /etc/mif/mifd.toml\n");

        system.run("dpkg --purge mifd mifctl").await;
        assert_ne!(system.try_run("getent passwd mifd || getent group mif").await.code, 0);
        let left = "find / -xdev -name '*mifd*' -o -xdev -name '*org.ietf.Mif1*' -o -xdev -path /etc/mif";
        let left = system.run(&format!("{left} | grep -v -e ^/root/ -e ^/var/log/journal || true")).await;
        assert_eq!(left, "", "left after a purge");
        assert_eq!(system.run("systemctl --failed --no-legend").await, "");
        for family in ["-4", "-6"] {
            let rules = system.run(&format!("ip {family} rule")).await;
            assert!(!rules.contains("fwmark"), "{rules}");
        }
    });
}
