//! mifctl against the real service on real networks: what a person sees, and what a script gets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::process::Command;

use mif_tests::daemons::program;
use mif_tests::process::{Output, Process, output};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{SHARED_NAME, SHARED_V4, TwoIsps};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;
use nix::sys::signal::Signal;
use serde_json::Value;

fn mifctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("mifctl"));
    command.args(arguments);
    command
}

async fn run(arguments: &[&str]) -> Output {
    output(mifctl(arguments)).await
}

/// What it writes when all goes well.
async fn says(arguments: &[&str]) -> String {
    let output = run(arguments).await;
    assert!(output.code == 0 && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    output.stdout
}

async fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&says(&[&["--json"], arguments].concat()).await).unwrap()
}

/// Two ISPs and mifd, which knows all of both.
async fn settled(universe: &Universe) -> (TwoIsps, ServedHost) {
    let (isps, host) = ServedHost::between_two_isps(universe).await;
    eventually("the end of the start", async || {
        let state = host.state().await;
        let addresses = state.pvds().map(|pvd| pvd.addresses.len()).sum::<usize>();
        if addresses == 6 && !state.startup { Ok(()) } else { Err(format!("{state:#?}")) }
    })
    .await;
    (isps, host)
}

/// Interface, address, prefix length.
type Addresses = BTreeSet<(String, String, u64)>;

#[test]
fn status_shows_what_ip_shows() {
    universe::run(async |universe| {
        let (_isps, _host) = settled(&universe).await;
        let status = json(&["status"]).await;
        let told: Vec<Value> =
            serde_json::from_str(&universe.host().run("ip", ["-json", "address"])).unwrap();
        let mut from_ip = Addresses::new();
        for link in &told {
            for info in link["addr_info"].as_array().unwrap() {
                if info["scope"] == "global" {
                    let text = |value: &Value| value.as_str().unwrap().to_owned();
                    from_ip.insert((
                        text(&link["ifname"]),
                        text(&info["local"]),
                        info["prefixlen"].as_u64().unwrap(),
                    ));
                }
            }
        }
        let mut from_mifctl = Addresses::new();
        let mut names = BTreeSet::new();
        let text = says(&["status"]).await;
        for interface in status["interfaces"].as_array().unwrap() {
            let name = interface["name"].as_str().unwrap();
            names.insert(name);
            for pvd in interface["provisioning_domains"].as_array().unwrap() {
                assert!(text.contains(&format!("\n  {}  ", pvd["id"].as_str().unwrap())), "{text}");
                for address in pvd["addresses"].as_array().unwrap() {
                    let shown = address["address"].as_str().unwrap();
                    let prefix_length = address["prefix_length"].as_u64().unwrap();
                    assert!(text.contains(&format!(" {shown}/{prefix_length} ")), "{text}");
                    assert!(address["valid_seconds"].as_u64().unwrap() > 60, "{address}");
                    from_mifctl.insert((name.to_owned(), shown.to_owned(), prefix_length));
                }
            }
        }
        assert_eq!(from_mifctl, from_ip);
        assert_eq!(names, ["eth1", "eth2", "lo"].into());
        let defaults = text.matches(", default\n").count();
        assert_eq!(defaults, 2, "one of each family: {text}");
        assert_eq!(status["default_provisioning_domains"].as_array().unwrap().len(), 2);
        assert!(text.contains("DNS        192.0.2.1\n    search     isp1.test\n"), "{text}");
        assert!(text.contains("\n\nlo  loopback, up\n"), "{text}");
        assert!(
            text.ends_with(
                "\n\nThe service asks no polkit who may connect: root and members of the group mif may.\n"
            ),
            "{text}"
        );
    });
}

#[test]
fn translate_asks_each_pvd() {
    universe::run(async |universe| {
        let (_isps, _host) = settled(&universe).await;
        // The order of PvDs on a link, and how long each took, are nobody's promise.
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let table = says(&["translate", SHARED_NAME]).await;
        let (head, rows) = table.split_once('\n').unwrap();
        assert_eq!(words(head), words("PVD ADDRESS FROM SERVER BY TTL TIME"));
        // The first row of a provisioning domain begins with it and ends with the time; which address came first
        // is of chance.
        let mut pvd = String::new();
        let mut told = BTreeSet::new();
        for mut row in rows.lines().map(words) {
            if row[0].starts_with("implicit:") {
                pvd = row.remove(0);
                row.truncate(row.len() - 2);
            }
            told.insert(format!("{pvd} {}", row.join(" ")));
        }
        let mut expected = BTreeSet::new();
        for (pvd, server, number) in [
            ("implicit:eth1:ipv4", "192.0.2.1", 1),
            ("implicit:eth1:ipv6:fe80::ff:fe00:102", "fe80::ff:fe00:102", 1),
            ("implicit:eth2:ipv4", "198.51.100.1", 2),
            ("implicit:eth2:ipv6:fe80::ff:fe00:202", "fe80::ff:fe00:202", 2),
        ] {
            for address in [format!("2001:db8:{number}:80::80"), format!("203.0.113.{}", 11 * number)] {
                expected.insert(format!("{pvd} {address} dns {server} udp 1 min"));
            }
        }
        assert_eq!(told, expected, "{table}");
        let label = says(&["translate", "only", "--pvd", "eth2", "--family", "ipv4"]).await;
        assert!(label.contains("(canonical name only.isp2.test)"), "{label}");

        let some = json(&["translate", "only.isp1.test"]).await;
        let results = some["results"].as_array().unwrap();
        assert_eq!(results.len(), 4);
        for result in results {
            if result["interface"] == "eth1" {
                assert_eq!(result["addresses"][0]["address"], "203.0.113.11");
            } else {
                assert_eq!(result["error"]["name"], "org.ietf.Mif1.Error.NameNotFound");
            }
        }
        let none = run(&["translate", "nowhere.test"]).await;
        assert_eq!(none.code, 1);
        assert_eq!(none.stdout.matches("nowhere.test does not exist").count(), 4, "{none:?}");
        assert_eq!(none.stderr, "mifctl: no provisioning domain has an answer for \"nowhere.test\"\n");
        let refused = run(&["translate", "www.example.org", "--pvd", "eth1"]).await;
        assert!(refused.stdout.contains("the response code was 5 (Refused)"), "{refused:?}");
        let wrong = run(&["translate", "a..b"]).await;
        assert_eq!((wrong.code, wrong.stdout.as_str()), (1, ""));
        assert_eq!(wrong.stderr, "mifctl: \"a..b\" has nothing between two dots, or before the first one\n");
    });
}

#[test]
fn connect_tells_both_ends_or_runs_a_command_with_the_socket() {
    universe::run(async |universe| {
        let (isps, _host) = settled(&universe).await;
        let target = SHARED_V4.to_string();
        for isp in [&isps.first, &isps.second] {
            let said = says(&["connect", "--pvd", isp.link(), &target, "7"]).await;
            let id = format!("in implicit:{}:ipv4.\n", isp.link());
            assert!(
                said.starts_with("Connected to 203.0.113.100 port 7 from ") && said.ends_with(&id),
                "{said}"
            );
            let details = json(&["connect", "--pvd", isp.link(), &target, "7"]).await;
            let source = details["local_address"].as_str().unwrap();
            assert!(isp.gave(source.parse().unwrap()), "{details}");
            assert!(details["handshake_us"].as_u64().unwrap() > 0, "{details}");
            let command =
                ["connect", "--pvd", isp.link(), &target, "7", "--source", source, "--", "sh", "-c"];
            let greeting = says(&[&command[..], &["head -n 1 <&3"]].concat()).await;
            let words: Vec<&str> = greeting.split_whitespace().collect();
            assert_eq!((words[0], words[2]), (source, isp.node().name()));
        }
        // The exit code is that of the command.
        let failing = run(&["connect", "--pvd", "eth1", &target, "7", "--", "sh", "-c", "exit 42"]).await;
        assert_eq!(failing.code, 42, "{failing:?}");
    });
}

#[test]
fn failures_say_what_to_do_and_end_with_the_code_of_the_help() {
    universe::run(async |universe| {
        let lost = run(&["status"]).await;
        assert_eq!(lost.code, 3);
        assert!(lost.stderr.contains("cannot connect to the system bus"), "{lost:?}");
        let (_isps, host) = settled(&universe).await;
        let target = SHARED_V4.to_string();
        let cases: &[(&[&str], i32, &[&str])] = &[
            (&["connect", "--pvd", "eth1", &target, "1"], 1, &["203.0.113.100:1 refused the connection"]),
            (
                &["connect", "--pvd", "eth1", &target, "7", "--source", "10.1.1.1"],
                1,
                &["10.1.1.1", "mifctl status"],
            ),
            (
                &["connect", "--pvd", "implicit:eth1:ipv4", "2001:db8:100::80", "7"],
                1,
                &["does not provide IPv6"],
            ),
            (&["connect", "--pvd", "eth1", "127.0.0.1", "7"], 1, &["a loopback address"]),
            (&["connect", "--pvd", "eth1", &target, "70000"], 2, &["1..=65535"]),
            (&["connect", "fe80::1%eth1", "7"], 2, &["no zone"]),
            (&["connect", "nowhere.test", "7"], 1, &["nowhere.test", "does not exist"]),
            (&["get", "eth1", "dns-servers"], 4, &["Say which", "implicit:eth1:ipv4"]),
            (&["get", "implicit:eth1:ipv4", "pref64"], 1, &["has no pref64"]),
            (&["get", "implicit:eth1:ipv4", "colour"], 1, &["unknown identifier"]),
            (&["status", "implicit:eth1:ipv5"], 4, &["implicit:eth1:ipv4"]),
            (&["stats"], 2, &["'status'"]),
            (&["status", "--bus", "unix:path=/nonexistent"], 3, &["unix:path=/nonexistent"]),
            (&["connect", "--pvd", "eth3", &target, "7"], 4, &["Try one of", "    eth1\n", "    eth2\n"]),
            (&["connect", "--pvd", "lo", &target, "7"], 4, &["lo has no provisioning domain"]),
            (&["connect", "--pvd", "/org/ietf/Mif1/pvd/1", &target, "7"], 4, &["implicit:eth1:ipv4"]),
            (&["translate", "x.test", "--pvd", "eth7"], 4, &["eth7", "mifctl status"]),
            (
                &["connect", "--pvd", "eth1", &target, "7", "--", "/etc/hosts"],
                126,
                &["cannot execute /etc/hosts"],
            ),
            (
                &["connect", "--pvd", "eth1", &target, "7", "--", "/nonexistent"],
                127,
                &["cannot execute /nonexistent"],
            ),
        ];
        for (arguments, code, told) in cases {
            let said = run(arguments).await;
            assert_eq!((said.code, said.stdout.as_str()), (*code, ""), "{arguments:?}: {said:?}");
            for words in *told {
                assert!(said.stderr.contains(words), "{arguments:?} does not say {words:?}: {}", said.stderr);
            }
        }
        host.mifd.terminate().await;
        let absent = run(&["status"]).await;
        assert_eq!(absent.code, 3);
        assert!(absent.stderr.contains("nobody owns org.ietf.Mif1"), "{absent:?}");
        assert!(absent.stderr.contains("Start it"), "{absent:?}");
    });
}

#[test]
fn connect_races_and_get_list_and_status_tell_of_one_pvd() {
    universe::run(async |universe| {
        let (isps, _host) = settled(&universe).await;
        let said = says(&["connect", SHARED_NAME, "7"]).await;
        assert!(said.starts_with("Connected to ") && said.contains(", in implicit:eth"), "{said}");
        let isp = &isps.second;
        let others = format!("interface:{}", isps.first.link());
        let raced = json(&["connect", SHARED_NAME, "7", "--avoid", &others, "--family", "ipv4"]).await;
        assert_eq!(raced["id"], "implicit:eth2:ipv4", "{raced}");
        assert_eq!(raced["remote_address"], isp.server_v4().to_string());
        let story = raced["story"].as_array().unwrap();
        assert!(story.iter().any(|event| event["event"].as_str().unwrap().starts_with("connected to ")));
        let greeting =
            says(&["connect", "--pvd", "eth2", SHARED_NAME, "7", "--", "sh", "-c", "head -n 1 <&3"]).await;
        assert!(greeting.trim_end().ends_with(isp.node().name()), "{greeting}");
        let told = says(&["connect", "--story", SHARED_NAME, "7"]).await;
        assert!(told.contains(" ms  asked implicit:eth1:ipv4 for IPv4\n"), "{told}");

        assert_eq!(says(&["get", "implicit:eth2:ipv4", "dns-servers"]).await, "198.51.100.1\n");
        let all = json(&["get", "implicit:eth2:ipv4", "--element", "dhcpv4"]).await;
        assert_eq!(all["search-domains"][0], "isp2.test", "{all}");
        let list = says(&["list"]).await;
        assert_eq!(list.lines().count(), 4, "{list}");
        assert!(list.contains("implicit:eth2:ipv4\teth2\tipv4\timplicit\t198.51.100."), "{list}");
        assert_eq!(json(&["list"]).await.as_array().unwrap().len(), 4);
        let one = says(&["status", "implicit:eth2:ipv4"]).await;
        assert!(one.contains("eth2") && !one.contains("eth1"), "{one}");

        let script = "source <(mifctl completion bash); COMP_LINE='mifctl get implicit:eth2:ipv4'; \
                      COMP_POINT=${#COMP_LINE}; COMP_WORDS=(mifctl get implicit : eth2 : ipv4); _mifctl; \
                      echo \"${COMPREPLY[@]}\"; \
                      COMP_LINE='mifctl connect --pvd e'; COMP_POINT=${#COMP_LINE}; \
                      COMP_WORDS=(mifctl connect --pvd e); _mifctl; echo \"${COMPREPLY[@]}\"";
        let mut shell = mif_tests::tool::command("bash");
        let folder = program("mifctl").parent().unwrap().display().to_string();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
        shell.args(["-c", script]).env("PATH", path);
        let completed = output(shell).await;
        assert_eq!(completed.stdout, "ipv4\neth1 eth2\n", "{completed:?}");
    });
}

/// Waits for a line in what a monitor has written that `wanted` finds right, behind `from` lines.
async fn line(monitor: &Process, from: usize, what: &str, wanted: impl Fn(&str) -> bool) -> usize {
    eventually(what, async || {
        let said = monitor.log();
        let found = said.lines().enumerate().skip(from).find(|(_, line)| wanted(line));
        found.map(|(at, _)| at).ok_or(said)
    })
    .await
}

#[test]
fn monitor_follows_changes_and_restarts_until_it_is_interrupted() {
    universe::run(async |universe| {
        let (isps, mut host) = settled(&universe).await;
        let text = universe.host().spawn("monitor", mifctl(&["monitor"]));
        let json = universe.host().spawn("monitor-json", mifctl(&["monitor", "--json"]));
        let all = "-- 3 interfaces, 4 provisioning domains.";
        let listed = line(&text, 0, "the listing", |line| line.contains(all)).await;
        let begins = text.log();
        assert_eq!(
            begins.lines().take(listed).filter(|line| line.contains(" + PvD  ")).count(),
            4,
            "{begins}"
        );
        line(&json, 0, "the listing", |line| line.contains("\"listed\"")).await;

        // An address more, then a whole ISP less.
        isps.second.cable().near().add_address("2001:db8:2:1::abcd/64");
        let id = "implicit:eth2:ipv6:fe80::ff:fe00:202";
        let added = format!("+ address    2001:db8:2:1::abcd/64  in {id}");
        let added = line(&text, listed, "the new address", |line| line.contains(&added)).await;
        isps.second.pull_cable().await;
        let gone = format!("- PvD        {id}");
        let gone = line(&text, added, "the end of a PvD", |line| line.contains(&gone)).await;
        let withdrawn = format!("- address    2001:db8:2:1::abcd/64  in {id}");
        assert!(
            text.log().lines().take(gone).skip(added).any(|line| line.contains(&withdrawn)),
            "{}",
            text.log()
        );
        line(&json, 0, "the end of a PvD", |line| {
            line.contains("\"removed\"") && line.contains("\"provisioning-domain\"") && line.contains(id)
        })
        .await;

        host.mifd.kill().await;
        let stopped = line(&text, gone, "the end of the service", |line| line.contains("has stopped")).await;
        host.mifd.restart().await;
        let back = line(&text, stopped, "its return", |line| line.contains("is back")).await;
        line(&text, back, "the listing", |line| line.contains("-- 3 interfaces, ")).await;
        line(&json, 0, "its return", |line| line.contains("\"started\"")).await;

        for monitor in [&text, &json] {
            monitor.signal(Signal::SIGINT);
            assert!(monitor.ended().await.success(), "{}", monitor.log());
        }
        for line in json.log().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert!(event["time"].is_number() && event["change"].is_string(), "{line}");
        }
    });
}
