//! Who may do what, as polkit, the bus and logind of an installed system have it.

use std::fs;

use mif_tests::booted::Booted;
use mif_tests::process::Output;
use mif_tests::topology::SHARED_NAME;
use mif_tests::universe;
use mif_tests::wait::eventually;

use crate::installed::Installed;

/// Has the program name the owner of its socket.
const OWNER: &str = "-- sh -c 'stat -L -c %U /proc/self/fd/3'";

/// A line of shell of a user without a session.
async fn as_user(system: &Booted, user: &str, line: &str) -> Output {
    system.try_run(&format!("runuser --user {user} -- {line}")).await
}

/// The same of a person who has logged in at the machine.
async fn at_the_machine(system: &Booted, user: &str, line: &str) -> Output {
    let login = format!(
        "systemd-run --quiet --wait --pipe --collect --property=PAMName=login --property=User={user} \
         --setenv=XDG_SEAT=seat0 --setenv=XDG_SESSION_TYPE=tty --setenv=XDG_SESSION_CLASS=user"
    );
    system.try_run(&format!("{login} {line}")).await
}

#[test]
fn anybody_may_look_and_translate() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        system.run("useradd visitor").await;
        installed.settled().await;
        let status = as_user(system, "visitor", "mifctl status").await;
        assert!(status.stdout.contains("implicit:eth1:ipv4"), "{status:?}");
        let answer = as_user(system, "visitor", &format!("mifctl translate {SHARED_NAME}")).await;
        for isp in [&installed.isps.first, &installed.isps.second] {
            assert!(answer.stdout.contains(&isp.server_v6().to_string()), "{answer:?}");
        }
        let object = "/org/ietf/Mif1 org.freedesktop.DBus.ObjectManager GetManagedObjects";
        let objects = as_user(system, "visitor", &format!("busctl call org.ietf.Mif1 {object}")).await;
        assert!(objects.stdout.contains("implicit:eth2:ipv4"), "{objects:?}");
        // Nobody but the service user may have the name.
        let taken = system.try_run("systemd-run --wait --pipe --property=User=visitor /usr/sbin/mifd").await;
        assert_ne!(taken.code, 0, "{taken:?}");
    });
}

#[test]
fn people_at_the_machine_connect_and_services_only_by_a_rule() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        system.run("useradd visitor && useradd --system robot && useradd --groups mif worker").await;
        installed.settled().await;
        let connect = installed.connect_command();
        let with_owner = format!("{connect} {OWNER}");

        let person = at_the_machine(system, "visitor", &with_owner).await;
        assert_eq!(person.stdout.trim(), "visitor", "{person:?}");
        // No session stands behind these, so that polkit wants an administrator.
        for user in ["visitor", "robot", "worker"] {
            let refused = as_user(system, user, &connect).await;
            assert!(
                refused.code == 5 && refused.stderr.contains("org.ietf.Mif1.connect"),
                "{user}: {refused:?}"
            );
        }
        system.run("cp /usr/share/doc/mifd/examples/50-org.ietf.Mif1.rules /etc/polkit-1/rules.d/").await;
        eventually("the rules", async || {
            let allowed = as_user(system, "worker", &with_owner).await;
            if allowed.stdout.trim() == "worker" { Ok(()) } else { Err(format!("{allowed:?}")) }
        })
        .await;
        for user in ["visitor", "robot"] {
            assert_eq!(as_user(system, user, &connect).await.code, 5, "the rules are for the group: {user}");
        }
    });
}

#[test]
fn polkit_asks_an_administrator_on_behalf_of_others() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        system.run("useradd visitor && echo root:sesame | chpasswd").await;
        installed.settled().await;
        // polkit's agent of terminals asks there, as it does people who have come over the network. It speaks for one
        // process, which becomes mifctl.
        let script = format!(
            "#!/bin/sh\npkttyagent --process $$ --notify-fd 5 5> /run/agent/ready &\nread -r ready < /run/agent/ready\n\
             exec {} {OWNER}\n",
            installed.connect_command()
        );
        system.run("mkdir /run/agent && mkfifo /run/agent/ready /run/agent/keyboard").await;
        fs::write(system.path("/root/ask"), script).unwrap();
        system.run("install -m 755 /root/ask /run/agent/ask && chown -R visitor /run/agent").await;
        let terminal = "setsid script --quiet --flush --log-out /run/agent/screen \
                        --command 'runuser --user visitor -- /run/agent/ask'";
        system.run(&format!("{terminal} <> /run/agent/keyboard > /run/agent/log 2>&1 &")).await;
        let screen = eventually("the owner of the socket on the terminal", async || {
            let screen = system.try_run("cat /run/agent/screen").await.stdout.replace('\r', "");
            // What is typed before the agent listens is lost.
            if screen.ends_with("Password: ") {
                system.run("echo sesame > /run/agent/keyboard").await;
            }
            if screen.contains("visitor\n") { Ok(screen) } else { Err(screen) }
        })
        .await;
        assert!(screen.contains("connect in the network implicit:eth2:ipv4"), "{screen}");
    });
}
