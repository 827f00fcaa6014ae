//! The XML files, the proxies and the contract say the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

/// The members of the contract: interface, kind, name, arguments in and out (methods), arguments (signals),
/// or type and EmitsChangedSignal (properties). Arguments are `name:type`.
const CONTRACT: &str = include_str!("contract.txt");

#[test]
fn the_xml_files_are_the_contract() {
    let described: Vec<String> = mif::introspection::ALL.into_iter().flat_map(members).collect();
    let expected: Vec<String> =
        CONTRACT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(spaced).collect();
    for (line, (described, expected)) in described.iter().zip(&expected).enumerate() {
        assert_eq!(described, expected, "member {line}");
    }
    assert_eq!(described.len(), expected.len());
}

#[test]
fn every_member_is_documented_right_before_it() {
    for xml in mif::introspection::ALL {
        let tags: Vec<Piece<'_>> = pieces(xml).collect();
        let mut documented = 0;
        for pair in tags.windows(2) {
            let Piece::Tag(tag) = pair[1] else { continue };
            if !["method", "signal", "property"].contains(&element_name(tag)) {
                continue;
            }
            let member = attribute(tag, "name");
            let Piece::Comment(comment) = pair[0] else { panic!("{member} has no comment before it") };
            assert!(comment.trim_start().starts_with(&member), "the comment before {member} is: {comment}");
            documented += 1;
        }
        assert!(documented > 0);
    }
}

#[test]
fn the_proxies_have_every_member_and_no_other() {
    let source = include_str!("../src/proxy.rs");
    let proxied: BTreeSet<String> = proxied_members(source).collect();
    let described: BTreeSet<String> = mif::introspection::ALL
        .into_iter()
        .flat_map(members)
        .map(|member| {
            let words: Vec<&str> = member.split(' ').collect();
            match words[1] {
                "property" => format!("{} property {} {}", words[0], words[2], words[4]),
                kind => format!("{} {kind} {}", words[0], words[2]),
            }
        })
        .collect();
    assert_eq!(proxied, described);
}

#[test]
fn the_words_of_features_are_those_of_the_file() {
    let documented = pieces(mif::introspection::MANAGER).find_map(|piece| match piece {
        Piece::Comment(comment) if comment.trim_start().starts_with("Features:") => Some(comment),
        _ => None,
    });
    // A line of the table: words, then what they mean, some blanks further.
    let words = documented.unwrap().lines().filter_map(|line| line.strip_prefix("        "));
    let words = words.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split("  ").next());
    let words: Vec<&str> = words.flat_map(|words| words.split(", ")).collect();
    assert_eq!(words, mif::names::feature::ALL);
}

/// The members of one XML file, in its order, as lines of [`CONTRACT`].
fn members(xml: &str) -> Vec<String> {
    let (mut interface, mut lines, mut open) = (String::new(), Vec::new(), Vec::<String>::new());
    for piece in pieces(xml) {
        let Piece::Tag(tag) = piece else { continue };
        let name = element_name(tag);
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "elements nest");
            continue;
        }
        if !tag.ends_with('/') && !name.starts_with('!') {
            open.push(name.to_owned());
        }
        match name {
            "interface" => {
                interface = attribute(tag, "name").strip_prefix("org.ietf.Mif1.").unwrap().to_owned();
            }
            "method" | "signal" => lines.push(format!("{interface} {name} {}", attribute(tag, "name"))),
            "property" => {
                assert_eq!(attribute(tag, "access"), "read");
                let (member, kind) = (attribute(tag, "name"), attribute(tag, "type"));
                lines.push(format!("{interface} property {member} {kind}"));
            }
            "arg" => {
                let direction = if tag.contains("direction=\"out\"") { ">" } else { "" };
                let argument = format!(" {direction}{}:{}", attribute(tag, "name"), attribute(tag, "type"));
                lines.last_mut().unwrap().push_str(&argument);
            }
            "annotation" => {
                assert_eq!(attribute(tag, "name"), "org.freedesktop.DBus.Property.EmitsChangedSignal");
                lines.last_mut().unwrap().push_str(&format!(" {}", attribute(tag, "value")));
            }
            other => assert!(["node", "!DOCTYPE"].contains(&other), "unknown element {other}"),
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    lines
}

enum Piece<'a> {
    Comment(&'a str),
    Tag(&'a str),
}

/// Comments and tags (without their angle brackets). The files have no text and no CDATA.
fn pieces(xml: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        if let Some(comment) = rest.strip_prefix("<!--") {
            let (comment, after) = comment.split_once("--").expect("a comment ends");
            rest = after.strip_prefix('>').expect("no -- inside a comment");
            return Some(Piece::Comment(comment));
        }
        let (tag, after) = rest.strip_prefix('<').expect("a tag").split_once('>').expect("a tag ends");
        rest = after;
        Some(Piece::Tag(tag))
    })
}

fn element_name(tag: &str) -> &str {
    tag.split(|c: char| c.is_whitespace()).next().unwrap().trim_end_matches(|c| c == '/' && tag.len() > 1)
}

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{name} in <{tag}>"));
    rest.split('"').next().unwrap().to_owned()
}

fn spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The members of the proxy traits: `INTERFACE KIND NAME`, and for properties EmitsChangedSignal.
fn proxied_members(source: &str) -> impl Iterator<Item = String> {
    let (mut interface, mut kind, mut emits) = (String::new(), "method", "true");
    source.lines().map(str::trim).filter_map(move |line| {
        if let Some((_, rest)) = line.split_once("interface = \"org.ietf.Mif1.") {
            interface = rest.split('"').next().unwrap().to_owned();
        } else if line.starts_with("#[zbus(signal)]") {
            kind = "signal";
        } else if line.starts_with("#[zbus(property") {
            kind = "property";
            emits =
                line.split('"').nth(1).map_or("true", |word| if word == "const" { "const" } else { "false" });
        } else if let Some(function) = line.strip_prefix("fn ") {
            let name = pascal_case(function.split('(').next().unwrap());
            let member = match kind {
                "property" => format!("{interface} property {name} {emits}"),
                kind => format!("{interface} {kind} {name}"),
            };
            (kind, emits) = ("method", "true");
            return Some(member);
        }
        None
    })
}

fn pascal_case(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
