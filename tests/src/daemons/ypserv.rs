//! rpcbind and ypserv: a NIS server with its port mapper. They want several users, hence real root.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::node::Node;
use crate::process::Process;
use crate::universe::{Privilege, Universe};
use crate::wait::eventually;

/// Where [`crate::peers::mount`] lays them.
const PORT_MAPPER: &str = "/usr/sbin/rpcbind";
const SERVER: &str = "/usr/sbin/ypserv";
const MAKE_MAP: &str = "/usr/lib/yp/makedbm";

/// The transports that both look up (RFC 1833 calls them network identifiers).
const TRANSPORTS: &str = "\
udp        tpi_clts      v     inet     udp     -       -
tcp        tpi_cots_ord  v     inet     tcp     -       -
local      tpi_cots_ord  -     loopback -       -       -
";

/// A NIS server on one node. There can be one in a universe: its port mapper has a socket of a fixed name.
#[derive(Clone, Debug)]
pub struct Ypserv {
    node: Node,
    domain: String,
}

impl Ypserv {
    /// One for a NIS domain. [`crate::peers::mount`] is to have been called before.
    ///
    /// # Panics
    /// When the programs are not there, or this is not a universe with several users.
    pub fn on(universe: &Universe, node: &Node, domain: &str) -> Self {
        assert_eq!(universe.privilege(), Privilege::Root, "rpcbind becomes a user of its own");
        for program in [PORT_MAPPER, SERVER, MAKE_MAP] {
            assert!(
                Path::new(program).exists(),
                "{program} is missing: the test is to call peers::mount() first"
            );
        }
        fs::create_dir_all(Path::new("/var/yp").join(domain)).expect("a folder");
        Self { node: node.clone(), domain: domain.to_owned() }
    }

    /// Gives it a map, such as `hosts.byname`: keys and values. makedbm parts them at the first tab.
    #[must_use]
    pub fn map(self, name: &str, entries: &[(&str, &str)]) -> Self {
        let path = Path::new("/var/yp").join(&self.domain).join(name);
        let mut make = Command::new(MAKE_MAP);
        let mut make = make.arg("-").arg(&path).stdin(Stdio::piped()).spawn().expect("start makedbm");
        let lines: String = entries.iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
        make.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("write a map");
        let status = make.wait().expect("the end of makedbm");
        assert!(
            status.success() && path.exists(),
            "makedbm ended with {status} and made no {}",
            path.display()
        );
        self
    }

    /// Starts both and waits until the port mapper knows the server.
    ///
    /// # Panics
    /// When one of them ends instead.
    pub async fn start(self) -> (Process, Process) {
        fs::write("/etc/netconfig", TRANSPORTS).expect("write netconfig");
        let mut users = fs::read_to_string("/etc/passwd").expect("the users");
        if !users.lines().any(|line| line.starts_with("_rpc:")) {
            users.push_str("_rpc:x:64920:65534::/run/rpcbind:/usr/sbin/nologin\n");
            fs::write("/etc/passwd", users).expect("write the users");
        }
        fs::create_dir_all("/run/rpcbind").expect("a folder");
        let mut rpcbind = Command::new(PORT_MAPPER);
        rpcbind.args(["-f", "-w"]);
        let rpcbind = self.node.spawn("rpcbind", rpcbind);
        eventually("the socket of rpcbind", async || {
            if Path::new("/run/rpcbind.sock").exists() { Ok(()) } else { Err(rpcbind.log()) }
        })
        .await;
        let mut ypserv = Command::new(SERVER);
        ypserv.args(["--debug", "--port", "834"]);
        let ypserv = self.node.spawn("ypserv", ypserv);
        eventually("ypserv to serve", async || {
            let sockets = self.node.run("ss", ["--no-header", "--udp", "--listening", "--numeric"]);
            if sockets.contains(":834 ") { Ok(()) } else { Err(format!("{sockets}{}", ypserv.log())) }
        })
        .await;
        (rpcbind, ypserv)
    }
}
