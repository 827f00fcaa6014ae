//! The examples of each language, run as the programs of users: all give the same answer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use mif::wire::Family;
use mif_tests::process::{Output, output};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{SHARED_NAME, TwoIsps};
use mif_tests::universe;
use mif_tests::{peers, tool};

/// What the servers of the testbed listen on.
const PORT: &str = "7";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dbus-interfaces/examples")
}

/// Each example, ready to be called with a name and a port.
async fn examples() -> Vec<(&'static str, Command)> {
    let folder = folder();
    let script = |interpreter: &str, arguments: &[&str], file: &str| {
        let mut command = tool::command(interpreter);
        command.args(arguments).arg(folder.join(file));
        command
    };
    let mut compiler = tool::command("gcc");
    compiler.args(["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-o", "/tmp/connect-everywhere"]);
    compiler.arg(folder.join("c/connect-everywhere.c")).arg("-lsystemd");
    let compiled = output(compiler).await;
    assert!(compiled.code == 0, "{compiled:#?}");
    vec![
        ("C, sd-bus", Command::new("/tmp/connect-everywhere")),
        ("Python, GDBus", script("python3", &[], "python/connect-everywhere-gdbus.py")),
        ("Python, dbus-fast", script("python3", &[], "python/connect-everywhere-asyncio.py")),
        ("GJS", script("gjs", &["-m"], "gjs/connect-everywhere.js")),
        ("bash, busctl", script("bash", &[], "bash/connect-everywhere.sh")),
    ]
}

async fn run(example: &mut (&'static str, Command), arguments: &[&str]) -> Output {
    let (program, given) = (example.1.get_program().to_owned(), example.1.get_args());
    let mut command = Command::new(program);
    command.args(given).args(arguments);
    output(command).await
}

/// What is printed but for the last line, and the last line.
fn answer(output: &Output) -> (String, String) {
    let (blocks, best) = output.stdout.trim_end().rsplit_once('\n').expect("more than a line");
    (blocks.to_owned(), best.to_owned())
}

#[test]
fn every_language_gets_the_same_answer() {
    universe::run(async |universe| {
        peers::mount();
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        for family in [Family::Ipv4, Family::Ipv6] {
            host.pvds([isps.first.link(), isps.second.link()], family, true).await;
        }
        let mut examples = examples().await;
        let mut answers = BTreeSet::new();
        for example in &mut examples {
            let output = run(example, &[SHARED_NAME, PORT]).await;
            assert!(output.code == 0 && output.stderr.is_empty(), "{}: {output:#?}", example.0);
            let (blocks, best) = answer(&output);
            let won = best.strip_prefix("best: ").unwrap_or_else(|| panic!("{}: {output:#?}", example.0));
            let (address, pvd) = won.split_once(" in ").unwrap();
            let block = blocks.split(pvd).nth(1).unwrap_or_else(|| panic!("{}: {output:#?}", example.0));
            assert!(block.contains(&format!("  {address} connected from ")), "{}: {output:#?}", example.0);
            answers.insert(blocks);
        }
        assert_eq!(answers.len(), 1, "they differ: {answers:#?}");
        let answer = answers.pop_first().unwrap();
        for (isp, id) in [(&isps.first, "implicit:eth1:ipv4"), (&isps.second, "implicit:eth2:ipv4")] {
            assert!(answer.contains(&format!("{id}\n  {} connected from ", isp.server_v4())), "{answer}");
            assert!(answer.contains(&format!("  {} connected from ", isp.server_v6())), "{answer}");
        }

        // One name that only one ISP knows, then one that nobody knows, a wrong call, and no service.
        for example in &mut examples {
            let output = run(example, &["only.isp2.test", PORT]).await;
            assert_eq!(output.code, 0, "{}: {output:#?}", example.0);
            assert!(
                answer_of(&output, "implicit:eth2:ipv4").contains("203.0.113.22 connected"),
                "{output:#?}"
            );
            assert!(answer_of(&output, "implicit:eth1:ipv4").starts_with("not translated: "), "{output:#?}");
            assert_eq!(run(example, &["nowhere.test", PORT]).await.code, 1, "{}", example.0);
            assert_eq!(run(example, &["nowhere.test"]).await.code, 2, "{}", example.0);
        }
        host.mifd.kill().await;
        for example in &mut examples {
            let output = run(example, &[SHARED_NAME, PORT]).await;
            assert!(output.code != 0 && !output.stderr.is_empty(), "{}: {output:#?}", example.0);
        }
    });
}

/// What is said of the PvD of this Id.
fn answer_of(output: &Output, id: &str) -> String {
    let after = output.stdout.split(&format!("{id}\n")).nth(1).unwrap_or_else(|| panic!("{output:#?}"));
    after.lines().next().unwrap_or_default().trim().to_owned()
}

#[test]
fn examples_are_of_a_length_to_be_read() {
    for language in std::fs::read_dir(folder()).unwrap().flatten() {
        for file in std::fs::read_dir(language.path()).unwrap().flatten() {
            let lines = std::fs::read_to_string(file.path()).unwrap().lines().count();
            assert!((60..=120).contains(&lines), "{} has {lines} lines", file.path().display());
        }
    }
}
