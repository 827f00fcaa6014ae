//! A new version keeps the configuration and the connections; a purge leaves nothing at all.

use mif_tests::universe;

use crate::installed::Installed;

/// A version that is newer than any.
const NEWER: &str = "99.0-1";

/// Makes the packages at hand look newer.
async fn publish_newer(installed: &Installed) {
    let line = format!(
        "for old in {}; do name=$(basename $old) && dpkg-deb --raw-extract $old /tmp/$name.d && \
         sed -i 's/^Version: .*/Version: {NEWER}/' /tmp/$name.d/DEBIAN/control && \
         dpkg-deb --build /tmp/$name.d $old && rm -r /tmp/$name.d; done",
        installed.system.packages()
    );
    installed.system.run(&line).await;
}

/// What there is of this service in the kernel.
async fn rules_and_routes(installed: &Installed) -> [String; 2] {
    let both = async |what: &str| {
        let line = format!("(ip -4 {what}; ip -6 {what}) | grep 'proto mif' || true");
        installed.system.run(&line).await
    };
    [both("rule show").await, both("route show table all").await]
}

#[test]
fn an_upgrade_keeps_the_configuration_and_the_connections() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        installed.settled().await;
        let held = installed.held_connection().await;
        let [rules, routes] = rules_and_routes(&installed).await;
        assert!(rules.contains("fwmark") && routes.contains("default via 198.51.100.1"), "{rules}{routes}");
        system.run("sed -i 's/^#log = .*/log = \"debug\"/' /etc/mif/mifd.toml").await;
        let before = installed.unit("MainPID").await;

        publish_newer(&installed).await;
        system.run("DEBIAN_FRONTEND=noninteractive apt-get --yes install /root/*.deb").await;
        let version = system.run("dpkg-query --show --showformat '${Version}' mifd").await;
        assert_eq!(version, NEWER);
        let after = installed.unit("MainPID").await;
        assert!(after != before && after != "0", "an upgrade restarts the service: {before}, {after}");
        assert_eq!(installed.unit("NRestarts").await, "0");
        assert!(system.run("cat /etc/mif/mifd.toml").await.contains("\nlog = \"debug\""));
        assert_eq!(system.run("dpkg --verify mifd mifctl").await, "??5?????? c /etc/mif/mifd.toml\n");
        held.lives("upgraded").await;
        installed.settled().await;
        assert_eq!(rules_and_routes(&installed).await, [rules, routes]);
        held.lives("settled").await;
    });
}

#[test]
fn what_is_removed_comes_back_with_its_configuration() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        system.run("echo '[interfaces]' >> /etc/mif/mifd.toml").await;
        system.run("dpkg --remove mifd mifctl").await;
        assert_ne!(system.try_run("busctl tree org.ietf.Mif1").await.code, 0);
        assert_eq!(system.run("systemctl --failed --no-legend").await, "");
        installed.install().await;
        assert_eq!(installed.unit("ActiveState").await, "failed", "[interfaces] stands there twice");
        system.run("sed -i '$d' /etc/mif/mifd.toml && systemctl start mifd").await;
        installed.settled().await;
    });
}

#[test]
fn a_purge_leaves_nothing() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        installed.settled().await;
        system.run(&format!("{} -- true", installed.connect_command())).await;
        let [rules, routes] = rules_and_routes(&installed).await;
        assert!(!rules.is_empty() && !routes.is_empty(), "nothing to be removed");
        system.run("test -e /run/mif").await;

        installed.purge().await;
        assert_ne!(
            system.try_run("getent passwd mifd || getent group mifd || getent group mif").await.code,
            0
        );
        let left = "find / -xdev '(' -name '*mifd*' -o -name '*mifctl*' -o -name '*org.ietf.Mif1*' \
                    -o -path /etc/mif -o -name 'mif.conf' ')' -print; ls -d /run/mif 2> /dev/null";
        let left = system.run(&format!("({left}) | grep -v -e ^/root/ -e ^/var/log/journal || true")).await;
        assert_eq!(left, "", "left after a purge");
        assert_eq!(system.run("systemctl --failed --no-legend").await, "");
        let line =
            "(ip -4 rule show; ip -6 rule show; ip -4 route show table all; ip -6 route show table all)";
        // Without the package the protocol has no name any more.
        let left = system.run(&format!("{line} | grep -e fwmark -e 'proto 77' -e 'proto mif' || true")).await;
        assert_eq!(left, "");
    });
}
