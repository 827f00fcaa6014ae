//! Links that nothing was heard on before, and leases.

use crate::contender::{LEASED, ROUTED};
use crate::listener::FOLDER;
use mif_tests::cable::Cable;
use mif_tests::daemons::Dnsmasq;
use mif_tests::node::Node;
use mif_tests::process::Process;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// How many a round.
pub const FRESH: usize = 8;

/// Links to a router that is silent so far.
pub async fn routed(near: &Node, far: &Node) -> Vec<Cable> {
    let mut cables = Vec::new();
    for number in 0..FRESH {
        let ends = (near.end(&format!("{ROUTED}{number}")), far.end(&format!("lan{number}")));
        cables.push(Cable::between(ends.0, ends.1).await);
    }
    cables
}

/// Links without a carrier, and behind them a DHCP server.
pub struct Leased {
    near: Node,
    far: Node,
    server: Process,
}

impl Leased {
    /// Makes them.
    pub async fn start(near: &Node, far: &Node) -> Self {
        let mut server = Dnsmasq::on(far, &peer(0)).argument("--port=0");
        for number in 0..FRESH {
            let (link, peer) = (format!("{LEASED}{number}"), peer(number));
            near.ip(&format!("link add {link} type veth peer name {peer} netns {}", far.name()));
            // A veth leaves checksums to hardware that is not there.
            far.run("ethtool", ["-K", &peer, "tx", "off"]);
            far.ip(&format!("address add 10.9.{number}.1/24 dev {peer}"));
            near.ip(&format!("link set {link} up"));
            let address = |host: u8| format!("10.9.{number}.{host}");
            server = server.argument(&format!("--interface={peer}")).dhcp4(&address(10), &address(99), "1h");
        }
        Self { near: near.clone(), far: far.clone(), server: server.start().await }
    }

    /// Gives a link its carrier.
    pub fn plug(&self, number: usize) {
        self.far.ip(&format!("link set {} up", peer(number)));
    }

    /// Takes all of them away.
    pub async fn end(self) {
        self.server.terminate().await;
        for number in 0..FRESH {
            self.near.ip(&format!("link delete {LEASED}{number}"));
        }
    }
}

fn peer(number: usize) -> String {
    format!("dhlan{number}")
}

/// A lease with a name server of its own, as dhclient puts it behind those before.
pub fn write_lease(link: &str, address: &str, number: usize) {
    let text = format!(
        "lease {{\n  interface \"{link}\";\n  fixed-address {address};\n  option subnet-mask 255.255.255.0;\n  \
         option domain-name-servers 192.0.2.{};\n  option dhcp-lease-time 3600;\n  \
         option dhcp-message-type 5;\n  option dhcp-server-identifier 192.0.2.1;\n  \
         renew never;\n  rebind never;\n  expire never;\n}}\n",
        number % 200 + 10
    );
    let file = OpenOptions::new().create(true).append(true).open(file_of_leases());
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("write a lease");
}

/// Removes what [`write_lease`] wrote.
pub fn forget_leases() {
    fs::remove_file(file_of_leases()).expect("remove the file of leases");
}

fn file_of_leases() -> PathBuf {
    Path::new(FOLDER).join("dhclient.leases")
}
