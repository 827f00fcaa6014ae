//! The applet, as a person sees it, beside what `mifctl --json` says.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::process::Command;

use mif_tests::daemons::program;
use mif_tests::desktop::{Desktop, Seen, Session, below, rows};
use mif_tests::echo::ECHO_PORT;
use mif_tests::process::output;
use mif_tests::topology::SHARED_NAME;
use mif_tests::universe;
use serde_json::Value;

/// Every network, and everything about each: what the window says is what mifctl says.
#[test]
fn the_window_shows_what_mifctl_shows() {
    universe::run(async |universe| {
        let Session { isps, host: _host, desktop, panel: _panel, applet } =
            Session::between_two_isps(&universe, &[]).await;
        let listed = status().await;
        assert_eq!(listed.len(), 4, "{listed:#?}");
        for pvd in &listed {
            let title = title(pvd);
            let state = if pvd["default"] == true { "Ready · default" } else { "Ready" };
            desktop.reads(&[&format!("{title} · {state}")]).await;
            desktop.click("list item", &title).await;
            same(&desktop, pvd["id"].as_str().unwrap()).await;
        }
        desktop.screenshot("details");

        desktop.keys(&["alt+3"]);
        isps.second.pull_cable().await;
        desktop.reads(&["Network IPv4 on eth2 went"]).await;
        desktop.screenshot("timeline");
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
    });
}

/// Nothing but the keyboard: to a network, a value of it copied, and pasted where a name is tried; then a name tried in
/// every network.
#[test]
fn the_keyboard_is_enough() {
    universe::run(async |universe| {
        let Session { isps, host: _host, desktop, panel: _panel, applet } =
            Session::between_two_isps(&universe, &[]).await;
        desktop.keys(&["alt+Left"]);
        desktop.walk("Down", "IPv4 on eth2").await;
        desktop.keys(&["Return"]);
        desktop.reads(&["implicit:eth2:ipv4"]).await;
        desktop.walk("Tab", "PvD ID").await;
        desktop.keys(&["ctrl+c"]);
        desktop.reads(&["Copied"]).await;

        desktop.keys(&["ctrl+t"]);
        desktop.reads(&["Host name"]).await;
        desktop.keys(&["ctrl+v"]);
        desktop.until("what was copied", |seen| typed(seen, "Host name", "implicit:eth2:ipv4")).await;

        desktop.keys(&["ctrl+a"]);
        desktop.types(SHARED_NAME);
        desktop.until("what was typed", |seen| typed(seen, "Host name", SHARED_NAME)).await;
        desktop.keys(&["Tab", "ctrl+a"]);
        desktop.types(&ECHO_PORT.to_string());
        desktop.keys(&["Return"]);
        let answers = [isps.first.server_v4(), isps.second.server_v4()].map(|address| address.to_string());
        desktop.reads(&["is fastest", &answers[0], &answers[1], "Connected in"]).await;
        desktop.screenshot("try");
        desktop.keys(&["F10"]);
        desktop.reads(&["Export Announcements…", "About Provisioning Domains"]).await;
        desktop.screenshot("menu");
        desktop.keys(&["Escape", "ctrl+question"]);
        desktop.reads(&["Back to the list", "Open the sign-in page"]).await;
        desktop.screenshot("keys");
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
    });
}

/// Whether a field has this text.
fn typed(seen: &[Seen], field: &str, text: &str) -> Option<()> {
    seen.iter().any(|it| it.name == field && it.text.as_deref() == Some(text)).then_some(())
}

/// The PvDs of `mifctl status --json`.
async fn status() -> Vec<Value> {
    let mut mifctl = Command::new(program("mifctl"));
    mifctl.args(["status", "--json"]);
    let told = output(mifctl).await;
    assert_eq!(told.code, 0, "{told:?}");
    let status: Value = serde_json::from_str(&told.stdout).unwrap();
    let interfaces = status["interfaces"].as_array().unwrap().iter();
    interfaces.flat_map(|it| it["provisioning_domains"].as_array().unwrap().clone()).collect()
}

/// Waits until the page of a PvD and mifctl say the same at one moment.
async fn same(desktop: &Desktop, id: &str) {
    let mut differ = String::new();
    for _ in 0..100 {
        let told = status().await.into_iter().find(|pvd| pvd["id"] == id).unwrap();
        let seen = desktop.look();
        let (window, mifctl) = (of_window(&seen), of_mifctl(&told));
        let times = times_of_window(&seen, &told);
        if window == mifctl && times.iter().all(|(shown, left)| shown.abs_diff(*left) <= 2) {
            return;
        }
        differ = format!("{window:#?}\n{mifctl:#?}\n{times:?}");
    }
    panic!("the window and mifctl differ about {id}: {differ}");
}

/// Addresses, name servers, search domains, routers.
type Facts = [BTreeSet<String>; 4];

fn of_window(seen: &[Seen]) -> Facts {
    ["Addresses", "Name servers", "Search domains", "Routers"]
        .map(|list| rows(seen, list).iter().map(|row| first_word(row)).collect())
}

fn of_mifctl(pvd: &Value) -> Facts {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |key: &str| pvd[key].as_array().unwrap().iter().map(text).collect();
    let addresses = pvd["addresses"].as_array().unwrap().iter().map(address);
    [addresses.collect(), list("dns_servers"), list("search_domains"), list("routers")]
}

fn address(told: &Value) -> String {
    format!("{}/{}", told["address"].as_str().unwrap(), told["prefix_length"])
}

/// The seconds that each address is valid for: what the window counts down, and what mifctl says.
fn times_of_window(seen: &[Seen], pvd: &Value) -> Vec<(u64, u64)> {
    let addresses = pvd["addresses"].as_array().unwrap().iter();
    let time = |told: &Value| {
        let row = below(seen, "list item", &address(told));
        let shown = row.iter().find_map(|it| seconds(&it.words()))?;
        Some((shown, told["valid_seconds"].as_u64()?))
    };
    addresses.map(|told| time(told).unwrap_or((u64::MAX, 0))).collect()
}

/// "9 min 48 s" in seconds.
fn seconds(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split(' ').collect();
    let unit = |pair: &[&str]| {
        let factor = match *pair.get(1)? {
            "d" => 86_400,
            "h" => 3_600,
            "min" => 60,
            "s" => 1,
            _ => return None,
        };
        Some(pair[0].parse::<u64>().ok()? * factor)
    };
    words.chunks(2).map(unit).sum()
}

fn first_word(row: &Seen) -> String {
    row.words().split_whitespace().next().unwrap_or_default().to_owned()
}

/// What the list calls a PvD.
fn title(pvd: &Value) -> String {
    let id = pvd["id"].as_str().unwrap();
    match id.strip_prefix("implicit:eth").and_then(|rest| rest.split_once(':')) {
        Some((number, "ipv4")) => format!("IPv4 on eth{number}"),
        Some((number, "ipv6")) => format!("IPv6 on eth{number}"),
        Some((_, rest)) => format!("IPv6 via {}", rest.trim_start_matches("ipv6:")),
        None => id.to_owned(),
    }
}
