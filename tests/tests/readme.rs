//! What README.md shows to those who write programs works as it stands there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use mif_tests::process::{Output, output};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::SHARED_NAME;
use mif_tests::{daemons, peers, tool, universe};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The one block of a language.
fn block(language: &str) -> String {
    let readme = read("README.md");
    let fence = format!("\n```{language}\n");
    let mut parts = readme.split(&fence);
    let found = parts.nth(1).unwrap_or_else(|| panic!("README.md has nothing in {language}"));
    assert!(parts.next().is_none(), "README.md has more than one block in {language}");
    found.split("\n```").next().unwrap().to_owned() + "\n"
}

/// A file with the block, asking the testbed's servers, and `end` behind it.
fn program(language: &str, end: &str) -> String {
    let text = block(language).replace("www.example.org", SHARED_NAME).replace("443", "7");
    assert!(text.contains(SHARED_NAME) && text.contains('7'), "{text}");
    let path = format!("/tmp/program.{language}");
    fs::write(&path, text + end).unwrap();
    path
}

async fn run(interpreter: &str, arguments: &[&str]) -> Output {
    let mut command = tool::command(interpreter);
    command.args(arguments);
    output(command).await
}

/// Declares what the block uses, and says hello over the socket.
async fn c() -> Output {
    let path = program("c", "");
    let frame = format!(
        "#include <fcntl.h>\n#include <stdio.h>\n#include <systemd/sd-bus.h>\n#include <unistd.h>\n\
         int main(void) {{\nsd_bus *bus = 0; sd_bus_message *reply = 0; sd_bus_error error = SD_BUS_ERROR_NULL;\n\
         int borrowed = -1, connected; char text[200] = \"\";\n#include \"{path}\"\n\
         fgets(text, sizeof text, fdopen(connected, \"r\")); puts(text); return 0; }}\n"
    );
    fs::write("/tmp/frame.c", frame).unwrap();
    let compiled = run(
        "gcc",
        &["-Wall", "-Wno-unused-result", "-Werror", "-o", "/tmp/frame", "/tmp/frame.c", "-lsystemd"],
    )
    .await;
    assert_eq!(compiled.code, 0, "{compiled:?}");
    output(Command::new("/tmp/frame")).await
}

#[test]
fn a_few_lines_connect_in_every_language() {
    universe::run(async |universe| {
        peers::mount();
        let (_isps, _host) = ServedHost::between_two_isps(&universe).await;
        let mut bash = tool::command("bash");
        let programs = daemons::program("mifctl").parent().unwrap().display().to_string();
        bash.arg(program("bash", "")).env("PATH", format!("{}:{programs}", tool::SEARCH_PATH));
        let shown = output(bash).await;
        assert!(shown.stdout.contains("socket:["), "{shown:?}");
        let python = program("python", "print(connected.makefile().readline())\n");
        let javascript = program(
            "js",
            "const stream = connected.connection_factory_create_connection().get_input_stream();\n\
             print(Gio.DataInputStream.new(stream).read_line_utf8(null)[0]);\n",
        );
        for (language, said) in [
            ("Python", run("python3", &[&python]).await),
            ("JavaScript", run("gjs", &["-m", &javascript]).await),
            ("C", c().await),
        ] {
            assert!(said.code == 0 && said.stdout.contains(" isp"), "{language}: {said:?}");
        }
    });
}

#[test]
fn the_lines_in_rust_are_those_that_the_library_s_documentation_compiles() {
    let documentation = read("dbus-interfaces/src/high_level.rs");
    for line in block("rust").lines() {
        assert!(documentation.contains(&format!("\n/// {line}\n")), "{line}");
    }
}
