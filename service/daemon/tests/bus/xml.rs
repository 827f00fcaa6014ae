//! Introspection data, as much of it as says what there is.

use std::collections::BTreeMap;

/// A node as its introspection data tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Interfaces with their members, each member with its arguments and annotations in one line.
    pub interfaces: BTreeMap<String, Vec<String>>,
    /// The names of the children.
    pub children: Vec<String>,
}

/// Reads introspection data: one `<node>` with `<interface>`s and empty `<node>`s in it.
pub fn parse(text: &str) -> Node {
    let (mut node, mut open) = (Node::default(), Vec::<String>::new());
    let mut members: Vec<String> = Vec::new();
    for tag in tags(text) {
        let element = tag.split([' ', '/', '\n']).next().unwrap();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "elements nest: {text}");
            continue;
        }
        match (open.len(), element) {
            (_, first) if first.starts_with('!') => continue,
            (0, "node") => {}
            (1, "node") => {
                assert!(tag.ends_with('/'), "children are named, never described: {tag}");
                node.children.push(attribute(&tag, "name"));
            }
            (1, "interface") => {
                let former = node.interfaces.insert(attribute(&tag, "name"), Vec::new());
                assert!(former.is_none(), "twice: {tag}");
                members.push(attribute(&tag, "name"));
            }
            (2, "method" | "signal" | "property") | (3, "arg" | "annotation") => {
                let interface = node.interfaces.get_mut(members.last().unwrap()).unwrap();
                let words = tag.trim_end_matches('/').split_whitespace().collect::<Vec<_>>().join(" ");
                if open.len() == 2 {
                    interface.push(words);
                } else {
                    interface.last_mut().unwrap().push_str(&format!("; {words}"));
                }
            }
            (depth, other) => panic!("<{other}> at depth {depth}: {text}"),
        }
        if !tag.ends_with('/') {
            open.push(element.to_owned());
        }
    }
    assert!(open.is_empty(), "open at the end: {open:?}");
    node
}

/// The attribute `name` of a tag or of a line of [`Node::interfaces`].
pub fn attribute(tag: &str, name: &str) -> String {
    let start = format!(" {name}=\"");
    let value = tag.split_once(&start).unwrap_or_else(|| panic!("{tag} has no {name}")).1;
    value.split_once('"').unwrap().0.to_owned()
}

fn tags(text: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = &comment[comment.find("-->").expect("a comment ends") + 3..];
            continue;
        }
        let end = rest.find('>').expect("a tag ends");
        tags.push(rest[..end].trim().to_owned());
        rest = &rest[end + 1..];
    }
    tags
}
