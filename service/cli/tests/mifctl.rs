//! The program itself, against a service of the tests' own on a private bus.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::time::Duration;

use fake::{Bus, HOME, OFFICE, Service, object, signal};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const DEADLINE: Duration = Duration::from_secs(20);

fn mifctl(bus: &Bus, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mifctl"));
    command.arg("--bus").arg(&bus.address).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(bus: &Bus, arguments: &[&str]) -> Output {
    tokio::time::timeout(DEADLINE, mifctl(bus, arguments).output()).await.expect("it ends").unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test]
async fn status_shows_the_tree_and_the_same_as_json() {
    let bus = Bus::start("status").await;
    let _service = Service::start(&bus, 0).await;
    let output = run(&bus, &["status"]).await;
    let expected = "\
eth0  ethernet, up
  implicit:eth0:ipv4  IPv4, default
    origin     implicit, from dhcpv4
    addresses  10.1.0.7/24  preferred for ever
    DNS        10.1.0.53
    search     none
    routers    10.1.0.1
    MTU        1400

wlan0  wifi, up
  home.example  IPv4
    origin     explicit, from dhcpv4
    addresses  192.168.7.20/24  preferred for ever
    DNS        192.168.7.1
    search     none
    routers    192.168.7.1

The service asks no polkit who may connect: root and members of the group mif may.
";
    assert_eq!(stdout(&output), expected);
    assert!(output.status.success());

    let output = run(&bus, &["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let pvd = &status["interfaces"][1]["provisioning_domains"][0];
    assert_eq!((&pvd["id"], &pvd["path"]), (&"home.example".into(), &HOME.into()));
    assert_eq!(pvd["addresses"][0]["valid_seconds"], serde_json::Value::Null);
    assert_eq!(pvd["configuration"], serde_json::Value::Null, "it has just gone");
    let office = &status["interfaces"][0]["provisioning_domains"][0];
    assert_eq!(office["configuration"]["mtu"], 1400);
}

#[tokio::test]
async fn without_a_service_it_says_how_to_start_one() {
    let bus = Bus::start("absent").await;
    for verb in
        [&["status"][..], &["monitor"], &["translate", "x"], &["connect", "--pvd", "eth0", "192.0.2.1", "80"]]
    {
        let output = run(&bus, verb).await;
        assert_eq!(output.status.code(), Some(3), "{verb:?}");
        assert!(stderr(&output).contains(&format!("mifd --bus {}", bus.address)), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn without_a_bus_it_names_the_bus() {
    let output = Command::new(env!("CARGO_BIN_EXE_mifctl"))
        .args(["status", "--bus", "unix:path=/nonexistent/bus"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("/nonexistent/bus"), "{}", stderr(&output));
}

/// A table without its last column, which holds how long it took.
fn without_times(table: &str) -> String {
    let at = table.find("TIME").expect("a column of times");
    table.lines().map(|line| format!("{}\n", line.get(..at).unwrap_or(line).trim_end())).collect()
}

#[tokio::test]
async fn translate_shows_what_each_pvd_says() {
    let bus = Bus::start("translate").await;
    let _service = Service::start(&bus, 0).await;
    let output = run(&bus, &["translate", "www.example.org"]).await;
    let expected = "\
PVD                    ADDRESS        FROM  SERVER       BY   TTL
implicit:eth0:ipv4     10.1.0.80      dns   10.1.0.53    udp  5 min
home.example on wlan0  198.51.100.80  dns   192.168.7.1  udp  5 min
";
    assert_eq!(without_times(stdout(&output)), expected);
    assert!(output.status.success());

    let output = run(&bus, &["translate", "nowhere.example.org", "--pvd", "wlan0"]).await;
    assert_eq!(output.status.code(), Some(1));
    let (told, _) = stdout(&output).split_once(" (after ").expect("the time that it took");
    let expected = "\"nowhere.example.org\" does not exist, says 192.168.7.1";
    assert_eq!(told.lines().last(), Some(&*format!("home.example on wlan0  {expected}")));

    let output = run(&bus, &["translate", "www.example.org", "--pvd", "wlan1"]).await;
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("wlan0"), "{}", stderr(&output));
}

#[tokio::test]
async fn connect_tells_both_ends_or_gives_the_socket_to_a_command() {
    let bus = Bus::start("connect").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _service = Service::start(&bus, listener.local_addr().unwrap().port()).await;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.unwrap().write_all(b"hello from the other end\n"));
        }
    });

    let output = run(&bus, &["connect", "--pvd", "eth0", "192.0.2.80", "80"]).await;
    assert_eq!(
        stdout(&output),
        "Connected to 192.0.2.80 port 80 from 10.1.0.7 port 40112 in 1.2 ms, in implicit:eth0:ipv4.\n"
    );

    // The command finds the socket at 3, and nothing of ours besides what the test itself has inherited.
    let list = "echo /proc/self/fd/*";
    // A descriptor 3 that was inherited is replaced.
    let closed = format!("exec 3<&-; {list}");
    let without_us = Command::new("sh").args(["-c", &closed]).stdin(Stdio::null()).output().await.unwrap();
    let script = format!("cat <&3; {list}");
    let output =
        run(&bus, &["connect", "--pvd", "home.example", "192.0.2.80", "80", "--", "sh", "-c", &script]).await;
    let (greeting, open) = stdout(&output).split_once('\n').expect("two lines");
    assert_eq!(greeting, "hello from the other end");
    let count = |text: &str| text.split_whitespace().count();
    assert_eq!(count(open), count(stdout(&without_us)) + 1, "{open}");

    let output =
        run(&bus, &["connect", "--pvd", "eth0", "192.0.2.80", "80", "--", "/nonexistent/command"]).await;
    assert_eq!(output.status.code(), Some(127), "{}", stderr(&output));

    let output = run(&bus, &["connect", "--pvd", OFFICE, "192.0.2.80", "1"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "mifctl: 192.0.2.80 port 1 refused the connection\n");
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure() {
    let bus = Bus::start("pipe").await;
    let _service = Service::start(&bus, 0).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = mifctl(&bus, &["status"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}

/// The lines of a monitor, without their time of day.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(bus: &Bus) -> Self {
        let mut child = mifctl(bus, &["monitor"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await.expect("a line comes");
        let line = line.unwrap().expect("monitor goes on");
        let (time, text) = line.split_at("12:34:56.789".len());
        assert!(time.bytes().filter(|byte| *byte == b':').count() == 2, "{line}");
        text.trim_start().to_owned()
    }

    /// Lines up to the end of the listing, sorted.
    async fn listing(&mut self) -> Vec<String> {
        let mut listed = Vec::new();
        loop {
            let line = self.line().await;
            if line.starts_with("-- 2 interfaces, 2 provisioning domains.") {
                listed.sort();
                return listed;
            }
            listed.push(line);
        }
    }

    async fn interrupt(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it ends").unwrap()
    }
}

#[tokio::test]
async fn monitor_lists_follows_changes_and_survives_a_restart() {
    let bus = Bus::start("monitor").await;
    let service = Service::start(&bus, 0).await;
    let mut watch = Watch::start(&bus);
    let there = [
        "+ PvD        home.example on wlan0  explicit, IPv4",
        "+ PvD        implicit:eth0:ipv4  implicit, IPv4",
        "+ address    10.1.0.7/24  in implicit:eth0:ipv4, preferred for ever, valid for ever",
        "+ address    192.168.7.20/24  in home.example on wlan0, preferred for ever, valid for ever",
        "+ element    dhcpv4  in home.example on wlan0",
        "+ element    dhcpv4  in implicit:eth0:ipv4",
        "+ interface  eth0  ethernet",
        "+ interface  wlan0  wifi",
    ];
    assert_eq!(watch.listing().await, there);

    // Somebody else on the bus may send such a signal too: it must not count.
    let stranger = bus.connect().await;
    let (owner, path) = service.subscriber();
    let forged = signal(&owner, &path, "NoInterfaceAnnouncement", &object(fake::WLAN0));
    stranger.send(&forged).await.unwrap();
    // The stranger's signal is at the bus before ours: the bus has answered the stranger since.
    stranger.call_method(Some("org.freedesktop.DBus"), "/", None::<&str>, "GetId", &()).await.unwrap();
    service.tell("NoAddressAnnouncement", &(object(OFFICE), "10.1.0.7")).await;
    assert_eq!(watch.line().await, "- address    10.1.0.7/24  in implicit:eth0:ipv4");

    service.stop().await;
    assert_eq!(watch.line().await, "-- The service has stopped. Waiting for it to come back.");
    let service = Service::start(&bus, 0).await;
    assert_eq!(watch.line().await, "-- The service is back. What is there now:");
    assert_eq!(watch.listing().await, there);

    let none: HashMap<&str, zbus::Variant<'_>> = HashMap::new();
    service.tell("Closed", &("overrun", none)).await;
    assert_eq!(watch.line().await, "-- Messages were lost. What is there now:");
    assert_eq!(watch.listing().await, there);
    assert!(watch.interrupt().await.success());
}
