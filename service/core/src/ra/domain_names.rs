//! Domain names as the DNS Search List option carries them: uncompressed labels, one name after another, zeros
//! up to the end (RFC 8106 5.2, RFC 1035 3.1).

use crate::text;

/// The longest name on the wire, its root label included (RFC 1035 3.1).
const MAX_NAME_LENGTH: usize = 255;
/// The longest label; greater values of the length byte are pointers and reserved kinds (RFC 1035 4.1.4).
const MAX_LABEL_LENGTH: u8 = 63;

/// The names in `bytes` as text, without final dot; `None` stands for one that cannot be taken.
///
/// Nothing comes after a name with a pointer or without an end: where the next one begins is unknown then.
pub(super) fn uncompressed(bytes: &[u8]) -> impl Iterator<Item = Option<String>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        // An empty name is the padding.
        if matches!(rest, [] | [0, ..]) {
            return None;
        }
        let (name, after) = split_name(rest);
        rest = after;
        Some(name)
    })
}

fn split_name(bytes: &[u8]) -> (Option<String>, &[u8]) {
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
        labels.push(escape_label(label));
        rest = after;
    }
    (None, &[])
}

/// A label as text. A dot in it must not look like the end of a label.
fn escape_label(label: &[u8]) -> String {
    label.split(|byte| *byte == b'.').map(text::escape).collect::<Vec<_>>().join("\\046")
}

#[cfg(test)]
mod tests {
    use super::*;

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
