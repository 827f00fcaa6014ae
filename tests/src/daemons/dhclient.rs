//! ISC dhclient: a host's client for DHCPv4 and DHCPv6, with lease files.

use std::fs;
use std::process::Command;

use crate::cable::LinkEnd;
use crate::node::Node;
use crate::process::Process;
use crate::tool;

use super::write_file;

/// Where it writes down leases.
pub const LEASES: &str = "/var/lib/dhcp/dhclient.leases";

/// As in Debian's dhclient.conf, less what a test would wait for, and with all that is asked of it.
const SETTINGS: &str = "\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, domain-name, domain-name-servers, domain-search, interface-mtu,
  rfc3442-classless-static-routes, ntp-servers, nis-domain, nis-servers;
initial-interval 1;
retry 1;
";

/// The same for DHCPv6, where it is not told where to write them.
const SETTINGS_IPV6: &str = "\
also request dhcp6.name-servers, dhcp6.domain-search, dhcp6.sntp-servers, dhcp6.nis-servers,
  dhcp6.info-refresh-time;
";

/// How a dhclient is to look after a link. Its script sets the address, as on every machine.
#[derive(Clone, Debug)]
pub struct Dhclient {
    node: Node,
    link: String,
    ipv6: bool,
    leases: String,
    more: String,
}

impl Dhclient {
    /// One for a link.
    pub fn on(end: &LinkEnd) -> Self {
        Self {
            node: end.node().clone(),
            link: end.name().to_owned(),
            ipv6: false,
            leases: LEASES.to_owned(),
            more: String::new(),
        }
    }

    /// A DHCPv6 client instead; its file is beside the other, with a `6` in its name.
    #[must_use]
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self.leases = LEASES.replace("dhclient.", "dhclient6.");
        self
    }

    /// Writes its leases down elsewhere, where nobody looks.
    #[must_use]
    pub fn keeping(mut self, leases: &str) -> Self {
        leases.clone_into(&mut self.leases);
        self
    }

    /// With another line in its configuration (dhclient.conf(5)).
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.more.push_str(line);
        self.more.push('\n');
        self
    }

    /// Starts it; the lease is to be waited for.
    ///
    /// # Panics
    /// When it is not installed, or ends instead.
    pub async fn start(&self) -> Process {
        fs::create_dir_all("/var/lib/dhcp").expect("make the folder of lease files");
        // Its script looks whether the root file system is on the network, and ends without this file.
        fs::write("/etc/fstab", "").expect("write the universe's own /etc/fstab");
        let mut command = self.command();
        command.arg("-d").arg(&self.link);
        let process = self.node.spawn(&format!("dhclient-{}", self.link), command);
        process.wait_for_log("Listening on").await;
        process
    }

    /// Gives the lease back, and ends the one that holds it.
    ///
    /// # Panics
    /// When it fails.
    pub async fn release(&self) {
        let mut command = self.command();
        command.args(["-d", "-r"]).arg(&self.link);
        let status = self.node.spawn(&format!("dhclient-release-{}", self.link), command).ended().await;
        assert!(status.success(), "dhclient -r ended with {status}");
    }

    fn command(&self) -> Command {
        let (version, settings) = if self.ipv6 { ("6", SETTINGS_IPV6) } else { ("4", SETTINGS) };
        let settings = format!("{settings}{}", self.more);
        let config = write_file(&format!("dhclient{version}-{}.conf", self.link), &settings);
        let mut command = tool::command("dhclient");
        command.arg(format!("-{version}")).args(["-v", "-lf", &self.leases, "-pf"]);
        command.arg(format!("/run/dhclient{version}.{}.pid", self.link));
        command.arg("-cf").arg(config).env("PATH", tool::SEARCH_PATH);
        command
    }
}
