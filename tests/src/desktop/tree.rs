//! What a person finds in what is shown.

use super::Seen;

/// What is below the first thing that has this role and a name that begins so.
pub fn below<'a>(seen: &'a [Seen], role: &str, name: &str) -> &'a [Seen] {
    let named = |it: &Seen| it.role == role && it.words().starts_with(name);
    let Some(place) = seen.iter().position(named) else { return &[] };
    let (depth, rest) = (seen[place].depth, &seen[place + 1..]);
    let end = rest.iter().position(|it| it.depth <= depth).unwrap_or(rest.len());
    &rest[..end]
}

/// The rows of a list.
pub fn rows<'a>(seen: &'a [Seen], list: &str) -> Vec<&'a Seen> {
    below(seen, "list", list).iter().filter(|it| it.role == "list item").collect()
}

/// What has the keyboard, in words.
pub fn focused(seen: &[Seen]) -> Option<String> {
    seen.iter().find(|it| it.is("focused")).map(Seen::words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(depth: usize, role: &str, name: &str) -> Seen {
        Seen {
            depth,
            role: role.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            text: None,
            states: Vec::new(),
            extents: [0; 4],
        }
    }

    #[test]
    fn rows_belong_to_their_list() {
        let all = [
            seen(1, "list", "Addresses"),
            seen(2, "list item", "192.0.2.1/24"),
            seen(3, "label", "forever"),
            seen(1, "list", "Routers"),
            seen(2, "list item", "192.0.2.2"),
        ];
        let words = |list| rows(&all, list).iter().map(|it| it.words()).collect::<Vec<_>>();
        assert_eq!(words("Addresses"), ["192.0.2.1/24"]);
        assert_eq!(words("Routers"), ["192.0.2.2"]);
        assert_eq!(below(&all, "list item", "192.0.2.1"), &all[2..3]);
        assert!(words("Names").is_empty());
    }
}
