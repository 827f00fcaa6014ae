//! Text from outside made safe to show: what is not printable is written `\DDD` (decimal, as RFC 1035 5.1).

/// `bytes` as text: bytes that are not valid UTF-8 and control characters become `\DDD`.
///
/// A backslash becomes `\092`, so two different inputs never give the same text.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                let mut buffer = [0; 4];
                escape_bytes(&mut text, character.encode_utf8(&mut buffer).as_bytes());
            } else {
                text.push(character);
            }
        }
        escape_bytes(&mut text, chunk.invalid());
    }
    text
}

fn escape_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str(&format!("\\{byte:03}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_stays_as_it_is() {
        assert_eq!(escape(b"eth0"), "eth0");
        assert_eq!(escape("Büro-WLAN".as_bytes()), "Büro-WLAN");
    }

    #[test]
    fn bytes_that_are_not_text_are_written_in_decimal() {
        assert_eq!(escape(b"a\xffb"), "a\\255b");
        assert_eq!(escape(b"a\nb\0"), "a\\010b\\000");
        assert_eq!(escape(b"a\\255"), "a\\092255");
        assert_eq!(escape("a\u{85}".as_bytes()), "a\\194\\133");
    }
}
