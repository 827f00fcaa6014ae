//! `cargo xtask reference`: the reference of the D-Bus interfaces, made from their XML files: a page for the
//! repository and a manual page. The manual pages of mifctl, which it writes itself, are put into `man` of the build
//! folder: they change with every word of its help.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::error::Error;
use crate::workspace::{self, Profile, Programs};

/// The interfaces, in the order of a reader.
const INTERFACES: [&str; 5] = ["Manager", "HighLevel", "Interface", "ProvisioningDomain", "Subscriber"];

const MARKDOWN: &str = "dbus-interfaces/REFERENCE.md";
const MANUAL: &str = "packaging/man/org.ietf.Mif1.5";

/// Writes all of it anew.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write() -> Result<(), Error> {
    for (path, text) in [(MARKDOWN, markdown()?), (MANUAL, manual()?)] {
        let path = workspace::root().join(path);
        fs::write(&path, text).map_err(|source| Error::File { path, source })?;
    }
    workspace::build(Profile::Dev, Programs::WithoutDesktop)?;
    let mut mifctl = Command::new(workspace::program("mifctl", Profile::Dev)?);
    command::run(mifctl.arg("manual").arg(workspace::target()?.join("man")))
}

/// An interface as its file describes it.
struct Interface {
    name: String,
    about: Vec<String>,
    members: Vec<Member>,
}

/// A method, signal or property.
struct Member {
    kind: String,
    name: String,
    /// As a programmer writes it down: `(s name) -> (o interface)`.
    signature: String,
    about: Vec<String>,
}

fn read(interface: &str) -> Result<Interface, Error> {
    let path: PathBuf = workspace::root().join(format!("dbus-interfaces/org.ietf.Mif1.{interface}.xml"));
    let xml = fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
    Ok(parse(&xml))
}

/// Reads what the files consist of: comments and tags. A comment documents the element behind it.
fn parse(xml: &str) -> Interface {
    let mut interface = Interface { name: String::new(), about: Vec::new(), members: Vec::new() };
    let mut comment = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("<!--") {
            let (text, after) = after.split_once("-->").unwrap_or((after, ""));
            comment = unindented(text);
            rest = after;
            continue;
        }
        let (tag, after) = rest[1..].split_once('>').unwrap_or((&rest[1..], ""));
        rest = after;
        take(tag, &mut comment, &mut interface);
    }
    for member in &mut interface.members {
        member.signature = finished(&member.kind, &member.signature);
    }
    interface
}

fn take(tag: &str, comment: &mut Vec<String>, interface: &mut Interface) {
    let name = attribute(tag, "name");
    match tag.split_whitespace().next().unwrap_or_default() {
        "node" => interface.about = std::mem::take(comment),
        "interface" => interface.name = name,
        kind @ ("method" | "signal" | "property") => {
            let about = std::mem::take(comment);
            let signature = if kind == "property" { attribute(tag, "type") } else { String::new() };
            interface.members.push(Member { kind: kind.to_owned(), name, signature, about });
        }
        "arg" => {
            let way = if attribute(tag, "direction") == "out" { ">" } else { "<" };
            if let Some(member) = interface.members.last_mut() {
                member.signature += &format!("{way}{} {name}\n", attribute(tag, "type"));
            }
        }
        "annotation" => {
            let emits = match attribute(tag, "value").as_str() {
                "const" => "constant",
                "true" => "emits PropertiesChanged",
                _ => "emits nothing",
            };
            if let Some(member) = interface.members.last_mut() {
                member.signature += &format!(" ({emits})");
            }
        }
        _ => {}
    }
}

/// From the arguments, one on each line behind its direction.
fn finished(kind: &str, arguments: &str) -> String {
    if kind == "property" {
        return arguments.to_owned();
    }
    let of = |way: char| {
        let arguments = arguments.lines().filter_map(|line| line.strip_prefix(way));
        format!("({})", arguments.collect::<Vec<_>>().join(", "))
    };
    match (kind, of('<'), of('>')) {
        ("method", given, returned) if returned == "()" => given,
        ("method", given, returned) => format!("{given} -> {returned}"),
        (_, carried, _) => carried,
    }
}

fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    value.map(|(value, _)| value.to_owned()).unwrap_or_default()
}

/// The lines of a comment without what they are all indented by.
fn unindented(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.trim_matches('\n').lines().map(str::trim_end).collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().skip(1).filter(|line| !line.is_empty()).map(indent).min().unwrap_or(0);
    let strip = |line: &&str| line.get(common.min(indent(line))..).unwrap_or(line).to_owned();
    let mut lines: Vec<String> = lines.iter().map(strip).collect();
    lines.retain({
        let mut begun = false;
        move |line| {
            begun |= !line.trim().is_empty();
            begun
        }
    });
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    if let Some(first) = lines.first_mut() {
        *first = first.trim_start().to_owned();
    }
    lines
}

/// The page for the repository.
fn markdown() -> Result<String, Error> {
    let mut text = "\
# Reference of org.ietf.Mif1

Made by `cargo xtask reference` from the XML files beside it; change those. [TUTORIAL.md](TUTORIAL.md) is where to
begin.
"
    .to_owned();
    for name in INTERFACES {
        let interface = read(name)?;
        text += &format!("\n## {}\n\n```text\n{}\n```\n", interface.name, interface.about.join("\n"));
        for member in &interface.members {
            let Member { kind, name, signature, about } = member;
            text +=
                &format!("\n### {name}\n\n*{kind}* `{signature}`\n\n```text\n{}\n```\n", about.join("\n"));
        }
    }
    Ok(text)
}

/// The manual page.
fn manual() -> Result<String, Error> {
    let mut text = "\
.\\\" Made by `cargo xtask reference` from dbus-interfaces/*.xml; change those.
.TH org.ietf.Mif1 5 \"\" mif \"D-Bus interfaces\"
.SH NAME
org.ietf.Mif1 \\- the D\\-Bus interfaces of mifd
.SH DESCRIPTION
The service
.BR mifd (8)
shows the provisioning domains of a machine, translates names in one of them and gives out sockets that stay in one of
them. These are its D\\-Bus interfaces, member by member.
"
    .to_owned();
    for name in INTERFACES {
        let interface = read(name)?;
        text += &format!(".SH {}\n.nf\n{}.fi\n", roff(&interface.name), lines(&interface.about));
        for member in &interface.members {
            let heading = format!("{} {} {}", member.kind, member.name, member.signature);
            text += &format!(".SS {}\n.nf\n{}.fi\n", roff(&heading), lines(&member.about));
        }
    }
    text += ".SH SEE ALSO\n.BR mifctl (1),\n.BR mifd (8),\n.BR busctl (1)\n";
    Ok(text)
}

fn lines(about: &[String]) -> String {
    about.iter().map(|line| roff(line) + "\n").collect()
}

/// Text as roff takes it literally.
fn roff(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_that_of_the_xml_files() {
        for (path, made) in [(MARKDOWN, markdown().unwrap()), (MANUAL, manual().unwrap())] {
            let there = fs::read_to_string(workspace::root().join(path)).unwrap_or_default();
            assert!(there == made, "{path} is out of date: run `cargo xtask reference`");
        }
    }

    #[test]
    fn every_member_has_a_signature_and_a_description() {
        for name in INTERFACES {
            let interface = read(name).unwrap();
            assert_eq!(interface.name, format!("org.ietf.Mif1.{name}"));
            assert!(!interface.about.is_empty() && !interface.members.is_empty());
            for member in &interface.members {
                assert!(!member.about.is_empty(), "{} is not described", member.name);
                assert!(!member.signature.is_empty(), "{} has no signature", member.name);
            }
        }
        let manager = read("Manager").unwrap();
        let method = manager.members.iter().find(|member| member.name == "GetInterfaceByName").unwrap();
        assert_eq!(method.signature, "(s name) -> (o interface)");
        let property = manager.members.iter().find(|member| member.name == "Startup").unwrap();
        assert_eq!(property.signature, "b (emits PropertiesChanged)");
    }
}
