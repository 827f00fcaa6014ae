//! Many links with two addresses each.

use mif_tests::node::Node;
use mif_tests::wait::within;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

/// Beyond the testbed's own: thousands of links take their time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has the kernel ask for no routers by itself on links that are made from now on. Mostly for nothing: it would go on for
/// ever, searches the routes of all links for each packet, and whoever runs at that moment pays for it. A service asks
/// for routers itself.
pub fn keep_kernel_quiet(node: &Node) {
    node.set("net/ipv6/conf/default/router_solicitations", "0");
}

/// Makes veth ends until there are `count` (rounded up to a pair), all up, each with an IPv4 and an IPv6 address.
pub async fn make(node: &Node, there: usize, count: usize) {
    let mut batch = String::new();
    for pair in there.div_ceil(2)..count.div_ceil(2) {
        writeln!(batch, "link add a{pair} type veth peer name b{pair}").expect("a line");
        for (end, host) in [("a", 1), ("b", 2)] {
            let (high, low) = (pair / 256, pair % 256);
            writeln!(batch, "address add 10.{high}.{low}.{host}/24 dev {end}{pair}").expect("a line");
            writeln!(batch, "address add 2001:db8:{pair:x}::{host}/64 dev {end}{pair} nodad")
                .expect("a line");
            writeln!(batch, "link set {end}{pair} up").expect("a line");
        }
    }
    let path = "/tmp/links.batch";
    fs::write(path, batch).expect("write the batch");
    node.run("ip", ["-batch", path]);
    let last = format!("a{}", count.div_ceil(2) - 1);
    within(PATIENCE, "the last link with its link-local address", async || {
        let shown = node.run("ip", ["-6", "address", "show", "dev", &last, "scope", "link"]);
        if shown.contains("fe80::") && !shown.contains("tentative") { Ok(()) } else { Err(shown) }
    })
    .await;
}
