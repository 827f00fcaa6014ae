//! A system with the packages installed, between two ISPs, and what is looked at in it.

use mif_tests::booted::Booted;
use mif_tests::echo::ECHO_PORT;
use mif_tests::topology::TwoIsps;
use mif_tests::universe::Universe;
use mif_tests::wait::eventually;

/// What apt is called with: nothing is asked of anybody.
const APT: &str = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes";

/// The system, its networks and the packages in it.
pub struct Installed {
    pub isps: TwoIsps,
    pub system: Booted,
}

impl Installed {
    /// With addresses that are set by hand.
    pub async fn start(universe: &Universe) -> Self {
        let isps = TwoIsps::without_clients(universe).await;
        for (number, network) in [(1, "192.0.2"), (2, "198.51.100")] {
            let link = format!("eth{number}");
            universe.host().ip(&format!("address add {network}.7/24 dev {link}"));
            universe.host().ip(&format!("route add default via {network}.1 dev {link} metric {number}00"));
        }
        let system = Booted::start(universe).await;
        let installed = Self { isps, system };
        installed.install().await;
        installed
    }

    /// Installs the packages as a user would: with one command.
    pub async fn install(&self) {
        let packages = self.system.packages();
        self.system.run(&format!("{APT} install {packages}")).await;
    }

    /// Takes the packages away, and all that they ever made.
    pub async fn purge(&self) {
        self.system.run(&format!("{APT} purge mifd mifctl")).await;
    }

    /// Waits until `mifctl status` shows all of `texts`. Returns what it shows.
    pub async fn status_with(&self, texts: &[&str]) -> String {
        eventually(&format!("a status with {texts:?}"), async || {
            let status = self.system.try_run("mifctl status").await;
            let missing: Vec<_> = texts.iter().filter(|text| !status.stdout.contains(**text)).collect();
            if missing.is_empty() {
                Ok(status.stdout)
            } else {
                Err(format!("without {missing:?}: {status:?}"))
            }
        })
        .await
    }

    /// The provisioning domains of IPv4 on both links are there.
    pub async fn settled(&self) {
        self.status_with(&["implicit:eth1:ipv4", "implicit:eth2:ipv4"]).await;
    }

    /// `mifctl connect` to the second ISP's echo server, in its provisioning domain.
    pub fn connect_command(&self) -> String {
        let server = self.isps.second.server_v4();
        format!("mifctl connect --pvd implicit:eth2:ipv4 {server} {ECHO_PORT}")
    }

    /// A property of the unit, as `systemctl show` tells it.
    pub async fn unit(&self, property: &str) -> String {
        let shown = self.system.run(&format!("systemctl show --value --property {property} mifd")).await;
        shown.trim().to_owned()
    }

    /// The messages of the unit's journal that have at least this priority.
    pub async fn messages(&self, priority: &str) -> String {
        let journal = format!("journalctl --no-pager --output cat --unit mifd --priority {priority}");
        self.system.run(&journal).await
    }

    /// Waits for a line in the unit's journal.
    pub async fn journal_with(&self, text: &str) {
        eventually(&format!("{text:?} in the journal"), async || {
            let journal = self.messages("debug").await;
            if journal.contains(text) { Ok(()) } else { Err(journal) }
        })
        .await;
    }

    /// Writes a drop-in of the unit and starts it anew, whatever comes of that.
    pub async fn restart_with(&self, settings: &str) {
        let folder = "/etc/systemd/system/mifd.service.d";
        self.system.run(&format!("mkdir -p {folder} && printf '{settings}' > {folder}/test.conf")).await;
        self.system.run("systemctl daemon-reload").await;
        self.system.try_run("systemctl reset-failed mifd; systemctl restart mifd").await;
    }

    /// A connection that a process of the system keeps open.
    pub async fn held_connection(&self) -> HeldConnection<'_> {
        let system = &self.system;
        system.run("mkfifo /run/ask /run/answer").await;
        let keep = "read -r greeting <&3; echo \"$greeting\" > /run/answer; \
                    while read -r word < /run/ask; do \
                    echo \"$word\" >&3; read -r back <&3; echo \"$back\" > /run/answer; done";
        let line = format!("setsid {} -- sh -c '{keep}'", self.connect_command());
        system.run(&format!("{line} < /dev/null > /run/held.log 2>&1 &")).await;
        let held = HeldConnection { system };
        let greeting = held.answer().await;
        assert!(greeting.ends_with(" isp2"), "{greeting}: {}", system.run("cat /run/held.log").await);
        held
    }
}

/// A connected socket in the hands of a process that waits for words to say.
pub struct HeldConnection<'a> {
    system: &'a Booted,
}

impl HeldConnection<'_> {
    /// Says a word, which the server repeats.
    pub async fn lives(&self, word: &str) {
        self.system.run(&format!("timeout 10 sh -c 'echo {word} > /run/ask'")).await;
        assert_eq!(self.answer().await, word);
    }

    async fn answer(&self) -> String {
        self.system.run("timeout 10 head -n 1 /run/answer").await.trim().to_owned()
    }
}
