//! knotd: a DNS server that is the authority for one zone.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use crate::filesystem::TESTBED;
use crate::node::Node;
use crate::process::Process;

use super::write_file;

/// Where [`crate::peers::mount`] lays it.
const PROGRAM: &str = "/usr/sbin/knotd";

/// How a knotd is to serve the zone `test` on one address of a node. Other names it refuses (REFUSED). UDP and TCP: the
/// one of Debian 12 speaks no TLS.
#[derive(Clone, Debug)]
pub struct Knot {
    node: Node,
    address: IpAddr,
    records: Vec<String>,
}

impl Knot {
    /// One whose zone is empty yet.
    pub fn on(node: &Node, address: IpAddr) -> Self {
        Self { node: node.clone(), address, records: Vec::new() }
    }

    /// Adds a line of its zone file (RFC 1035 5.1), such as `www A 192.0.2.1`. Records without a time of their own may
    /// be kept for a minute, and that there is no such record, for an hour.
    #[must_use]
    pub fn record(mut self, line: &str) -> Self {
        self.records.push(line.to_owned());
        self
    }

    /// Starts it and waits until it serves its zone.
    ///
    /// # Panics
    /// When it is not there, or ends instead.
    pub async fn start(self) -> Process {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: the test is to call peers::mount() first"
        );
        let name = format!("knot-{}", self.node.name());
        let folder = format!("{TESTBED}/{name}");
        fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(write_file(&format!("{name}.conf"), &self.config(&folder)));
        write_file(&format!("{name}/test.zone"), &self.zone());
        let process = self.node.spawn("knot", command);
        process.wait_for_log("[test.] loaded").await;
        process.wait_for_log("server started").await;
        process
    }

    fn config(&self, folder: &str) -> String {
        let address = self.address;
        format!(
            "server:\n  listen: {address}@53\n  rundir: {folder}\n  user: root:root\n  udp-workers: 1\n  \
             tcp-workers: 2\n  background-workers: 1\n\
             log:\n- target: stderr\n  any: info\n\
             database:\n  storage: {folder}\n\
             zone:\n- domain: test\n  storage: {folder}\n  file: test.zone\n  journal-content: none\n"
        )
    }

    fn zone(&self) -> String {
        let kind = if self.address.is_ipv4() { "A" } else { "AAAA" };
        format!(
            "$ORIGIN test.\n$TTL 60\n@ SOA ns admin 1 3600 600 86400 3600\n@ NS ns\nns {kind} {}\n{}\n",
            self.address,
            self.records.join("\n")
        )
    }
}
