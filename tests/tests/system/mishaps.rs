//! What goes wrong with the unit: a clear line in the journal, and a service that does less, or none.

use mif_tests::universe;

use crate::installed::Installed;

/// What `busctl` says that the service can do.
async fn features(installed: &Installed) -> String {
    let get = "busctl get-property org.ietf.Mif1 /org/ietf/Mif1 org.ietf.Mif1.Manager Features";
    installed.system.run(get).await
}

#[test]
fn a_second_one_refuses_to_start_and_the_first_one_stays() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        installed.settled().await;
        let held = installed.held_connection().await;
        let first = installed.unit("MainPID").await;
        installed.system.run("systemctl start mifd").await;
        let same_rights = "--property=User=mifd --property=AmbientCapabilities='CAP_NET_RAW CAP_NET_ADMIN'";
        let second = format!("systemd-run --wait --unit=second {same_rights} /usr/sbin/mifd");
        assert_ne!(installed.system.try_run(&second).await.code, 0);
        let said = installed.system.run("journalctl --no-pager --output cat --unit second").await;
        assert!(
            said.contains("another service owns org.ietf.Mif1 on this bus already; stop it first"),
            "{said}"
        );
        assert_eq!(installed.unit("MainPID").await, first);
        held.lives("still").await;
    });
}

#[test]
fn without_capabilities_it_says_which_is_missing() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let with = |set: &str| format!("[Service]\\nAmbientCapabilities=\\n{set}");
        // Without CAP_NET_RAW nothing would be right: it does not start, and is not started for ever.
        installed.restart_with(&with("CapabilityBoundingSet=\\n")).await;
        let missing = "cannot listen for Router Advertisements: the capability CAP_NET_RAW is missing";
        installed.journal_with(missing).await;
        assert!(installed.messages("err").await.contains(missing));
        let status = installed.system.try_run("mifctl status").await;
        assert!(status.code == 3 && status.stderr.contains("its unit has failed"), "{status:?}");

        // With it alone there is less: nobody is handed a socket that would belong to the service's user.
        installed.restart_with(&with("AmbientCapabilities=CAP_NET_RAW\\n")).await;
        let lacks =
            ["implicit:eth2:ipv4", "leads no packets", "it cannot give sockets away (CAP_CHOWN is missing)"];
        let status = installed.status_with(&lacks).await;
        assert!(!status.contains("asks no polkit"), "{status}");
        let told = features(&installed).await;
        assert!(!told.contains("pvd-routing") && !told.contains("fchown"), "{told}");
        assert!(told.contains("\"polkit\""), "{told}");
        assert!(installed.messages("warning").await.contains("no routing per provisioning domain"));
        let connect = format!("{} -- true", installed.connect_command());
        assert_eq!(installed.system.try_run(&connect).await.code, 1);
        installed.journal_with("a socket could not be given to its user: is CAP_CHOWN missing?").await;

        // What can be done without rules is done.
        installed.restart_with(&with("AmbientCapabilities=CAP_NET_RAW CAP_CHOWN\\n")).await;
        installed.status_with(&["implicit:eth2:ipv4", "leads no packets"]).await;
        assert!(features(&installed).await.contains("fchown"));
        installed.system.run(&connect).await;
    });
}

#[test]
fn without_polkit_the_group_decides() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        system
            .run("useradd visitor && useradd --groups mif worker && dpkg --purge --force-depends polkitd")
            .await;
        system.run("systemctl restart mifd").await;
        installed.status_with(&["implicit:eth2:ipv4", "The service asks no polkit"]).await;
        installed.journal_with("without polkit: only root and members of the group mif may connect").await;
        assert!(!features(&installed).await.contains("\"polkit\""));
        let connect = installed.connect_command();
        system.run(&format!("runuser --user worker -- {connect} -- true")).await;
        let refused = system.try_run(&format!("runuser --user visitor -- {connect} -- true")).await;
        assert_eq!(refused.code, 5, "{refused:?}");
    });
}

#[test]
fn without_ipv6_there_is_ipv4() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        universe.host().set("net/ipv6/conf/all/disable_ipv6", "1");
        // As on a kernel without it: no socket of that family can be had.
        installed.restart_with("[Service]\\nRestrictAddressFamilies=~AF_INET6\\n").await;
        installed.journal_with("this kernel has no IPv6").await;
        let status = installed.status_with(&["implicit:eth2:ipv4", "hears no routers"]).await;
        assert!(!status.contains(":ipv6"), "{status}");
        let features = features(&installed).await;
        assert!(
            !features.contains("router-advertisements") && features.contains("pvd-routing"),
            "{features}"
        );
        installed.system.run(&format!("{} -- true", installed.connect_command())).await;
        // Switched off on the links alone: routers could be heard, should it be switched on again.
        installed.restart_with("").await;
        let status = installed.status_with(&["implicit:eth2:ipv4"]).await;
        assert!(!status.contains("hears no routers") && !status.contains(":ipv6"), "{status}");
        installed.system.run(&format!("{} -- true", installed.connect_command())).await;
    });
}

#[test]
fn a_broken_configuration_is_named_and_not_tried_again() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        installed.settled().await;
        system.run("echo 'log = \"loud\"' > /etc/mif/mifd.toml").await;
        let mistake = "/etc/mif/mifd.toml:1:7: log is \"loud\": it takes one of";
        // One that runs stays as it is, and says so.
        system.run("systemctl reload mifd").await;
        installed.journal_with(&format!("the configuration stays as it was: {mistake}")).await;
        let shown = system.run("systemctl status --no-pager mifd").await;
        assert!(shown.contains("with its former configuration"), "{shown}");
        installed.settled().await;

        assert_ne!(system.try_run("systemctl restart mifd").await.code, 0);
        installed.journal_with(mistake).await;
        assert_eq!(installed.unit("ActiveState").await, "failed");
        assert_eq!(installed.unit("ExecMainStatus").await, "78");
        assert_eq!(installed.unit("NRestarts").await, "0");
        let status = system.try_run("mifctl status").await;
        assert!(status.code == 3 && status.stderr.contains("its unit has failed"), "{status:?}");
        system.run(": > /etc/mif/mifd.toml; systemctl start mifd").await;
        installed.settled().await;
    });
}
