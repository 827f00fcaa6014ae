//! Domain names as options carry them: uncompressed labels (RFC 1035 3.1), in the DNS Search List one name after
//! another and zeros up to the end (RFC 8106 5.2).

use crate::text;

/// The longest name on the wire, its root label included (RFC 1035 3.1).
pub(crate) const MAX_NAME_LENGTH: usize = 255;
/// The longest label; greater values of the length byte are pointers and reserved kinds (RFC 1035 4.1.4).
pub(crate) const MAX_LABEL_LENGTH: u8 = 63;

/// The names in `bytes` as text, without final dot; `None` stands for one that cannot be taken.
///
/// Nothing comes after a name with a pointer or without an end: where the next one begins is unknown then.
pub(crate) fn uncompressed(bytes: &[u8]) -> impl Iterator<Item = Option<String>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        // An empty name is the padding.
        if matches!(rest, [] | [0, ..]) {
            return None;
        }
        let (name, after) = split_name(rest, escape_label);
        rest = after;
        Some(name)
    })
}

/// A PvD ID at the begin of `bytes`, and what comes after its root label. It is lower-cased, and everything but
/// letters, digits, hyphens and underscores is escaped, so that no ID can be taken for something else.
pub(crate) fn pvd_id(bytes: &[u8]) -> Option<(String, &[u8])> {
    match split_name(bytes, escape_id_label) {
        (Some(id), after) if !id.is_empty() => Some((id, after)),
        _ => None,
    }
}

/// A host name at the begin of `bytes`, in text, which must take all of them.
pub(crate) fn whole(bytes: &[u8]) -> Option<String> {
    match split_name(bytes, escape_label) {
        (Some(name), []) if !name.is_empty() => Some(name),
        _ => None,
    }
}

/// The name at the begin of `bytes`, and what comes after it; nothing does when its end cannot be found.
fn split_name(bytes: &[u8], escape: fn(&[u8]) -> String) -> (Option<String>, &[u8]) {
    let mut rest = bytes;
    let mut labels: Vec<String> = Vec::new();
    while let [length, after @ ..] = rest {
        if *length == 0 {
            let wire_length = bytes.len() - after.len();
            let name = (wire_length <= MAX_NAME_LENGTH).then(|| labels.join("."));
            return (name, after);
        }
        if *length > MAX_LABEL_LENGTH || usize::from(*length) > after.len() {
            break;
        }
        let (label, after) = after.split_at(usize::from(*length));
        labels.push(escape(label));
        rest = after;
    }
    (None, &[])
}

/// A label as text. A dot in it must not look like the end of a label.
pub(crate) fn escape_label(label: &[u8]) -> String {
    label.split(|byte| *byte == b'.').map(text::escape).collect::<Vec<_>>().join("\\046")
}

/// A label of a PvD ID as text.
fn escape_id_label(label: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut text = String::with_capacity(label.len());
    for byte in label {
        if plain(*byte) {
            text.push(char::from(byte.to_ascii_lowercase()));
        } else {
            text.push_str(&format!("\\{byte:03}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_pvd_id_can_look_like_nothing_else() {
        assert_eq!(pvd_id(b"\x07Example\x03ORG\x00\x05"), Some(("example.org".to_owned(), &[5][..])));
        assert_eq!(pvd_id(b"\x0dimplicit:eth0\x00").unwrap().0, "implicit\\058eth0");
        assert_eq!(pvd_id(b"\x04a/.\n\x00").unwrap().0, "a\\047\\046\\010");
        assert_eq!(pvd_id("\x02\u{fc}\x00".as_bytes()).unwrap().0, "\\195\\188");
        assert_eq!(pvd_id(b"\x00"), None, "the root");
        assert_eq!(pvd_id(b"\x03abc"), None, "no end");
        assert_eq!(pvd_id(b"\x01a\xc0\x00"), None, "a pointer");
    }

    fn names(bytes: &[u8]) -> Vec<Option<String>> {
        uncompressed(bytes).collect()
    }

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn several_names_and_padding() {
        let bytes = b"\x07example\x03com\x00\x01a\x02bc\x00\x00\x00\x00";
        assert_eq!(names(bytes), [some("example.com"), some("a.bc")]);
        assert_eq!(names(b"\x00\x00\x00"), []);
        assert_eq!(names(b""), []);
    }

    #[test]
    fn odd_bytes_never_look_like_something_else() {
        assert_eq!(names(b"\x03a.b\x01c\x00"), [some("a\\046b.c")]);
        assert_eq!(names(b"\x04\xffa\n\\\x00"), [some("\\255a\\010\\092")]);
        assert_eq!(names(b"\x05M\xc3\xbcll\x00"), [some("M\u{fc}ll")]);
    }

    #[test]
    fn pointers_and_names_without_end_are_dropped() {
        assert_eq!(names(b"\x01a\x00\x01b\xc0\x00\x01c\x00"), [some("a"), None]);
        assert_eq!(names(b"\x01a\x00\x05ab"), [some("a"), None]);
        assert_eq!(names(b"\x01a\x01b"), [None]);
    }

    #[test]
    fn names_over_255_bytes_are_dropped_and_the_next_one_is_found() {
        let label = [b"\x3f".as_slice(), &[b'x'; 63]].concat();
        let longest = [label.repeat(3), vec![61], vec![b'y'; 61], vec![0]].concat();
        assert_eq!(longest.len(), 255);
        let too_long = [label.repeat(3), vec![62], vec![b'y'; 62], vec![0]].concat();
        let found = names(&[too_long, b"\x01a\x00".to_vec(), longest].concat());
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], None);
        assert_eq!(found[1], some("a"));
        assert_eq!(found[2].as_ref().map(String::len), Some(253));
    }
}
