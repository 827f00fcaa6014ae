//! `mifctl manual`: the manual pages, for packages: one of the program and one of each verb.

use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::args::{Arguments, EXAMPLES, EXIT_CODES};
use crate::failure::Failure;

/// What every page points to, besides the others of mifctl.
const RELATED: [(&str, &str); 2] = [("mifd", "8"), ("org.ietf.Mif1", "5")];

/// From here on exit codes are about the command that gets a socket.
const OF_COMMAND: u8 = 126;

/// Writes mifctl.1 and a page for each verb.
pub fn run(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::Output)?;
    for (name, page) in pages().map_err(Failure::Output)? {
        std::fs::write(folder.join(name), page).map_err(Failure::Output)?;
    }
    Ok(())
}

/// Every page with the name of its file.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let verbs: Vec<Command> = program.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    let names: Vec<String> = std::iter::once(&program).chain(&verbs).map(page_name).collect();
    let commands = std::iter::once(&program).chain(&verbs);
    commands.map(|command| Ok((format!("{}.1", page_name(command)), page(command, &names)?))).collect()
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// One page; `names` are those of all pages.
fn page(command: &Command, names: &[String]) -> io::Result<Vec<u8>> {
    // The usage of the help says which options have values, and where two dashes stand.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let man = Man::new(command.clone().override_usage(usage));
    let is_program = command.get_subcommands().next().is_some();
    let mut text = Vec::new();
    // Not `render_title`: it loses a date that is empty, and what follows moves up.
    let version = env!("CARGO_PKG_VERSION");
    writeln!(text, ".TH {} 1 \"\" \"mifctl {version}\" \"User commands\"", page_name(command))?;
    // Words to be typed or looked for stay whole.
    Roff::default().control("nh", []).control("ad", ["l"]).to_writer(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    description(command).to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    if is_program {
        man.render_subcommands_section(&mut text)?;
        examples().to_writer(&mut text)?;
    }
    exit_status(command, is_program).to_writer(&mut text)?;
    see_also(&page_name(command), names).to_writer(&mut text)?;
    text.flush()?;
    Ok(text)
}

/// What the help says first. Lines that begin with blanks are tables and examples: they stay as they are.
fn description(command: &Command) -> Roff {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let mut section = Roff::default();
    section.control("SH", ["DESCRIPTION"]);
    let mut is_table = false;
    for line in about.lines() {
        if line.starts_with(' ') != is_table {
            is_table = !is_table;
            section.control(if is_table { "nf" } else { "fi" }, []);
        }
        if line.is_empty() {
            section.control("PP", []);
        } else {
            section.text([roman(line)]);
        }
    }
    if is_table {
        section.control("fi", []);
    }
    section
}

fn examples() -> Roff {
    let mut section = Roff::default();
    section.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in EXAMPLES.lines().skip(1) {
        section.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    section.control("fi", []);
    section
}

/// The codes that a verb can end with.
fn exit_status(command: &Command, is_program: bool) -> Roff {
    let gives_socket = is_program || command.get_name() == "connect";
    // It asks nobody.
    let is_local = command.get_name() == "completion";
    let mut section = Roff::default();
    section.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        if (code >= OF_COMMAND && !gives_socket) || (code > 2 && is_local) {
            continue;
        }
        section.control("TP", []).text([bold(code.to_string())]).text([roman(meaning)]);
    }
    section
}

fn see_also(own: &str, names: &[String]) -> Roff {
    let others = names.iter().filter(|name| *name != own).map(|name| (name.as_str(), "1"));
    let all: Vec<(&str, &str)> = others.chain(RELATED).collect();
    let mut section = Roff::default();
    section.control("SH", ["SEE ALSO"]);
    for (index, (name, number)) in all.iter().enumerate() {
        let comma = if index + 1 < all.len() { "," } else { "" };
        section.text([bold(*name), roman(format!("({number}){comma}"))]);
    }
    section
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_page_has_its_version_codes_and_neighbours() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"mifctl.1") && names.contains(&"mifctl-connect.1"), "{names:?}");
        assert!(!names.contains(&"mifctl-manual.1"), "hidden: {names:?}");
        for (name, page) in &pages {
            let text = String::from_utf8(page.clone()).unwrap();
            let title = text.lines().find(|line| line.starts_with(".TH ")).unwrap();
            let version = format!(" 1 \"\" \"mifctl {}\" \"User commands\"", env!("CARGO_PKG_VERSION"));
            assert!(title.ends_with(&version), "{name}: {title}");
            for part in ["EXIT STATUS", "SEE ALSO", "mifd", "OPTIONS"] {
                assert!(text.contains(part), "{part} in {name}: {text}");
            }
            assert!(!text.contains("EXTRA"), "{name}: {text}");
            let has_command = name == "mifctl.1" || name == "mifctl-connect.1";
            assert_eq!(text.contains("127"), has_command, "{name}: {text}");
        }
    }

    #[test]
    fn the_synopsis_has_the_dashes_before_a_command() {
        let pages = pages().unwrap();
        let (_, connect) = pages.iter().find(|(name, _)| name == "mifctl-connect.1").unwrap();
        let text = String::from_utf8(connect.clone()).unwrap().replace('\\', "");
        assert!(text.contains("mifctl connectfR [OPTIONS] <HOST> <PORT> [-- <COMMAND>...]"), "{text}");
    }
}
