//! unbound: a recursive resolver, over UDP, TCP, DoT and DoH.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::encrypted_dns::{DOH_PATH, Protocol};
use crate::node::Node;
use crate::process::Process;

use super::write_file;

/// Where [`crate::peers::mount`] lays it.
const PROGRAM: &str = "/usr/sbin/unbound";

/// How an unbound is to serve on one address of a node.
#[derive(Clone, Debug)]
pub struct Unbound {
    node: Node,
    lines: Vec<String>,
    authority: IpAddr,
}

impl Unbound {
    /// One that asks `authority` for the names of the zone `test`, and knows nobody else to ask.
    pub fn on(node: &Node, authority: IpAddr) -> Self {
        Self { node: node.clone(), lines: Vec::new(), authority }
    }

    /// Serves in the clear on this address.
    #[must_use]
    pub fn plain(self, address: IpAddr) -> Self {
        self.line(&format!("interface: {address}@53"))
    }

    /// Serves DoT and DoH on this address, with a certificate and its key in these PEM files.
    #[must_use]
    pub fn encrypted(self, address: IpAddr, (certificate, key): &(PathBuf, PathBuf)) -> Self {
        let (dot, doh) = (Protocol::Dot.port(), Protocol::Doh.port());
        self.line(&format!("interface: {address}@{dot}"))
            .line(&format!("interface: {address}@{doh}"))
            .line(&format!("tls-port: {dot}"))
            .line(&format!("https-port: {doh}"))
            .line(&format!("http-endpoint: {DOH_PATH}"))
            .line(&format!("tls-service-pem: {}", certificate.display()))
            .line(&format!("tls-service-key: {}", key.display()))
    }

    /// Any other line of the `server` clause in unbound.conf(5).
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Starts it and waits until it serves.
    ///
    /// # Panics
    /// When it is not there, or ends instead.
    pub async fn start(self) -> Process {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: the test is to call peers::mount() first"
        );
        let config = write_file(&format!("unbound-{}.conf", self.node.name()), &self.config());
        let mut command = Command::new(PROGRAM);
        command.args(["-d", "-d", "-p", "-c"]).arg(config);
        let process = self.node.spawn("unbound", command);
        process.wait_for_log("start of service").await;
        process
    }

    fn config(&self) -> String {
        let lines: String = self.lines.iter().map(|line| format!("  {line}\n")).collect();
        // It logs each question: address, name, type and class.
        format!(
            "server:\n  chroot: \"\"\n  username: \"\"\n  directory: \"/\"\n  use-syslog: no\n  \
             do-daemonize: no\n  verbosity: 1\n  log-queries: yes\n  module-config: \"iterator\"\n  \
             access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n  num-threads: 1\n  \
             do-not-query-localhost: no\n  local-zone: \"test.\" nodefault\n{lines}\
             remote-control:\n  control-enable: no\n\
             stub-zone:\n  name: \"test\"\n  stub-addr: {}\n",
            self.authority
        )
    }
}
