//! The packages where NetworkManager or systemd-networkd looks after the links.

use mif_tests::booted::Booted;
use mif_tests::topology::{SHARED_NAME, TwoIsps};
use mif_tests::universe::{self, Universe};

use crate::installed::Installed;

const NETWORK_MANAGER: &str = "\
[main]\n\
plugins=keyfile\n\
dhcp=internal\n\
no-auto-default=*\n\
rc-manager=unmanaged\n\
[keyfile]\n\
unmanaged-devices=none\n\
[connectivity]\n\
enabled=false\n";

/// Two ISPs with DHCP, and a system in which nothing looks after the links yet.
async fn unmanaged(universe: &Universe) -> Installed {
    let isps = TwoIsps::without_clients(universe).await;
    let system = Booted::start(universe).await;
    Installed { isps, system }
}

async fn write(system: &Booted, path: &str, text: &str) {
    system
        .run(&format!("mkdir -p $(dirname {path}) && printf '%s' '{text}' > {path} && chmod 600 {path}"))
        .await;
}

/// The service knows what the manager was given, and connections outlive the manager's restart.
async fn works_beside(installed: &Installed, manager: &str, unit: &str) {
    let system = &installed.system;
    let told = format!("told by {manager}");
    installed.status_with(&["implicit:eth1:ipv4", "implicit:eth2:ipv4", "search     isp2.test", &told]).await;
    let answer = system.run(&format!("mifctl translate --family ipv4 {SHARED_NAME}")).await;
    for isp in [&installed.isps.first, &installed.isps.second] {
        assert!(answer.contains(&isp.server_v4().to_string()), "{answer}");
    }
    let held = installed.held_connection().await;
    let rules = "ip -4 rule show | grep 'proto mif'";
    let before = system.run(rules).await;
    assert!(before.contains("fwmark"), "{before}");
    system.run(&format!("systemctl restart {unit}")).await;
    installed.status_with(&["implicit:eth1:ipv4", "implicit:eth2:ipv4", &told]).await;
    assert_eq!(system.run(rules).await, before);
    held.lives("managed").await;
    system.run(&format!("{} -- true", installed.connect_command())).await;

    installed.purge().await;
    let left = system.run("ip -4 rule show | grep fwmark || true").await;
    assert_eq!(left, "");
    assert_eq!(system.run("systemctl --failed --no-legend").await, "");
}

#[test]
fn network_manager_looks_after_the_links() {
    universe::run_as_root(async |universe| {
        let installed = unmanaged(&universe).await;
        let system = &installed.system;
        write(system, "/etc/NetworkManager/NetworkManager.conf", NETWORK_MANAGER).await;
        for link in ["eth1", "eth2"] {
            let profile = format!(
                "[connection]\nid={link}\ntype=ethernet\ninterface-name={link}\n\
                 [ipv4]\nmethod=auto\n[ipv6]\nmethod=auto\n"
            );
            let path = format!("/etc/NetworkManager/system-connections/{link}.nmconnection");
            write(system, &path, &profile).await;
        }
        installed.install().await;
        // It leaves alone what is up already.
        for link in ["eth1", "eth2"] {
            universe.host().ip(&format!("link set {link} down"));
        }
        system.run("systemctl start NetworkManager").await;
        works_beside(&installed, "NetworkManager", "NetworkManager").await;
    });
}

#[test]
fn networkd_looks_after_the_links() {
    universe::run_as_root(async |universe| {
        let installed = unmanaged(&universe).await;
        let system = &installed.system;
        for link in ["eth1", "eth2"] {
            let text = format!("[Match]\nName={link}\n[Network]\nDHCP=ipv4\n");
            let path = format!("/etc/systemd/network/{link}.network");
            write(system, &path, &text).await;
            system.run(&format!("chmod 644 {path}")).await;
        }
        installed.install().await;
        system.run("systemctl start systemd-networkd").await;
        works_beside(&installed, "systemd-networkd", "systemd-networkd").await;
    });
}
