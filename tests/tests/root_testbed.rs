//! The testbed's root universes: several users, each with the rights it should have.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::process::Command;

use mif_tests::daemons::Bus;
use mif_tests::process::output;
use mif_tests::topology::TwoIsps;
use mif_tests::{tool, universe, user};

/// The bits of CAP_CHOWN, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW.
const FOUR: u64 = 1 | 1 << 10 | 1 << 12 | 1 << 13;

/// The capability sets of a process, by name.
async fn capabilities(make: impl Fn(Command) -> Command) -> Vec<(String, u64)> {
    let mut command = tool::command("cat");
    command.arg("/proc/self/status");
    let status = output(make(command)).await.stdout;
    let sets = status.lines().filter_map(|line| line.strip_prefix("Cap")?.split_once(":\t"));
    sets.map(|(name, bits)| (name.to_owned(), u64::from_str_radix(bits, 16).unwrap())).collect()
}

#[test]
fn the_service_user_has_exactly_four_capabilities() {
    universe::run_as_root(async |_| {
        let sets = capabilities(user::as_service).await;
        assert_eq!(sets.len(), 5, "{sets:?}");
        assert!(sets.iter().all(|(_, bits)| *bits == FOUR), "{sets:x?}");
        let sets = capabilities(user::as_visitor).await;
        assert!(sets.iter().all(|(_, bits)| *bits == 0), "{sets:x?}");
    });
}

#[test]
fn only_the_service_user_may_own_the_name() {
    universe::run_as_root(async |universe| {
        Bus::start(&universe).await;
        let request = |name: &str| {
            let mut command = tool::command("busctl");
            let bus = "org.freedesktop.DBus";
            command.args(["call", bus, "/org/freedesktop/DBus", bus, "RequestName", "su", name, "0"]);
            command
        };
        let refused = output(user::as_visitor(request("org.ietf.Mif1"))).await;
        assert!(refused.stderr.contains("Access denied"), "{refused:?}");
        let granted = output(user::as_service(request("org.ietf.Mif1"))).await;
        assert_eq!(granted.stdout, "u 1\n", "{granted:?}");
    });
}

#[test]
fn the_lease_is_hidden_from_others_and_the_control_socket_is_not() {
    universe::run_as_root(async |universe| {
        TwoIsps::start(&universe).await;
        let read = |path: &str| {
            let mut command = tool::command("cat");
            command.arg(path);
            command
        };
        let hidden = output(user::as_service(read("/var/lib/dhcpcd/eth1.lease"))).await;
        assert!(hidden.stderr.contains("Permission denied"), "{hidden:?}");
        use std::os::unix::fs::PermissionsExt;
        let socket = fs::metadata("/run/dhcpcd/eth1.unpriv.sock").unwrap();
        assert_eq!(socket.permissions().mode() & 0o777, 0o666);
    });
}
