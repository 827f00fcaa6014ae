//! `apt install`, and the service is there: confined, started by the bus when it does not run, with a readable journal.

use mif_tests::universe;

use crate::installed::Installed;

/// CAP_CHOWN, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW.
const CAPABILITIES: &str = "0000000000003401";

/// What `systemd-analyze security` may say: systemd-resolved's unit has 2.2.
const MOST_EXPOSED: f32 = 2.1;

/// One line of /proc/PID/status of the service.
async fn status(installed: &Installed, field: &str) -> String {
    let pid = installed.unit("MainPID").await;
    let line = installed.system.run(&format!("grep ^{field}: /proc/{pid}/status")).await;
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_start_is_not_refused_and_the_service_is_confined() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        assert_eq!(installed.unit("ActiveState").await, "active");
        assert_eq!(installed.unit("NRestarts").await, "0");
        let journal = system.journal().await;
        assert!(!journal.contains("Failed with result") && !journal.contains("refused"), "{journal}");

        for field in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
            assert_eq!(status(&installed, field).await, CAPABILITIES, "{field}");
        }
        assert_eq!(status(&installed, "Seccomp").await, "2");
        assert_eq!(status(&installed, "NoNewPrivs").await, "1");
        let uid = system.run("id --user mifd").await;
        assert_ne!(uid.trim(), "0");
        assert_eq!(status(&installed, "Uid").await, [uid.trim(); 4].join(" "));
        assert!(system.run("getent group mif").await.starts_with("mif:"));
        let analysis = system.run("systemd-analyze security --no-pager mifd.service | tail -n 1").await;
        let exposure = analysis.split_whitespace().find_map(|word| word.parse::<f32>().ok());
        assert!(exposure.is_some_and(|exposure| exposure <= MOST_EXPOSED), "{analysis}");
        system.run("dpkg --verify mifd mifctl && pkaction --action-id org.ietf.Mif1.connect").await;
    });
}

#[test]
fn the_bus_starts_it_and_a_reload_does_not_stop_it() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        let system = &installed.system;
        system.run("systemctl stop mifd").await;
        assert_eq!(installed.unit("ActiveState").await, "inactive");
        let tree = system.run("busctl tree --list org.ietf.Mif1").await;
        assert!(tree.contains("/org/ietf/Mif1/interface/"), "{tree}");
        assert_eq!(installed.unit("ActiveState").await, "active");
        let pid = installed.unit("MainPID").await;
        system
            .run("sed -i 's/^#log = .*/log = \"debug\"/' /etc/mif/mifd.toml && systemctl reload mifd")
            .await;
        installed.journal_with("the configuration was read again").await;
        assert_eq!(installed.unit("MainPID").await, pid);
    });
}

#[test]
fn the_journal_is_for_people() {
    universe::run_as_root(async |universe| {
        let installed = Installed::start(&universe).await;
        installed.settled().await;
        // A line that an administrator should look at.
        installed.system.run("echo 'log = 3' > /etc/mif/mifd.toml; systemctl reload mifd").await;
        installed.journal_with("the configuration stays as it was").await;
        let all = installed.messages("info").await;
        let own: Vec<&str> = all.lines().collect();
        assert!(own.contains(&"serving org.ietf.Mif1"), "{all}");
        // The journal has time, name and priority of its own; nothing of that is in the text, and no colours.
        let odd = |line: &&&str| {
            line.starts_with(['<', ' ']) || line.contains(['\u{1b}', '\t']) || line.contains("INFO")
        };
        assert_eq!(own.iter().filter(odd).collect::<Vec<_>>(), Vec::<&&str>::new());
        let serious = installed.messages("warning").await;
        assert!(
            serious.contains("the configuration stays as it was: /etc/mif/mifd.toml:1:7: log is 3"),
            "{serious}"
        );
        assert!(!serious.contains("serving org.ietf.Mif1"), "{serious}");
    });
}
