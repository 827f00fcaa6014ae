//! Statements of a lease file, one on each line: a name, a value, a semicolon.

use crate::lease_text::parse;

/// What stands between the name of a statement and its semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'a>(&'a [u8]);

/// The statement on a line, without blanks around it; `None` when it is none.
///
/// The name of an option is `option` and its own name.
pub(super) fn statement(line: &[u8]) -> Option<(&[u8], Value<'_>)> {
    let line = before_semicolon(line)?;
    let first = line.iter().position(u8::is_ascii_whitespace)?;
    let name_ends = match line.get(..first) {
        Some(b"option") => first + 1 + line.iter().skip(first + 1).position(u8::is_ascii_whitespace)?,
        _ => first,
    };
    let (name, value) = line.split_at_checked(name_ends)?;
    Some((name, Value(value.trim_ascii())))
}

/// What comes before the first semicolon that is in no string; a comment may come after it.
fn before_semicolon(line: &[u8]) -> Option<&[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return line.get(..index),
            _ => {}
        }
    }
    None
}

impl<'a> Value<'a> {
    /// The value as one word that is no string.
    pub(super) const fn word(&self) -> &'a [u8] {
        self.0
    }

    /// The inside of a string that has no escapes.
    pub(super) fn plain(&self) -> Option<&'a [u8]> {
        let inside = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        (!inside.iter().any(|byte| matches!(byte, b'"' | b'\\'))).then_some(inside)
    }

    /// Words that are no strings, parted by commas.
    pub(super) fn list(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let words = self.0.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        words.filter(|word| !word.is_empty())
    }

    /// The strings, parted by commas.
    pub(super) fn strings(&self) -> Vec<Vec<u8>> {
        let mut strings = Vec::new();
        let mut rest = self.0;
        while let Some(begin) = rest.iter().position(|byte| *byte == b'"') {
            let (string, after) = string(rest.get(begin + 1..).unwrap_or_default());
            strings.push(string);
            rest = after;
        }
        strings
    }

    /// Bytes: a string, bytes in hexadecimal parted by colons, or numbers parted by commas.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        if self.0.starts_with(b"\"") {
            return self.strings().into_iter().next();
        }
        if self.0.contains(&b',') {
            return self.list().map(parse).collect();
        }
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        self.0.split(|byte| *byte == b':').map(byte).collect()
    }

    /// Seconds since 1970: `WEEKDAY YEAR/MONTH/DAY HOUR:MINUTE:SECOND` in UTC, `epoch SECONDS`, or `never`, which is
    /// the inner `None`.
    pub(super) fn time(&self) -> Option<Option<u64>> {
        let mut words = self.0.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match (words.next()?, words.next(), words.next()) {
            (b"never", None, _) => Some(None),
            (b"epoch", Some(seconds), None) => Some(Some(parse(seconds)?)),
            (_weekday, Some(date), Some(time)) => {
                let [year, month, day] = numbers(date, b'/')?;
                let [hour, minute, second] = numbers(time, b':')?;
                let possible = hour < 24 && minute < 60 && second <= 60;
                let days = days_since_1970(year, month, day).filter(|_| possible)?;
                Some(Some(((days * 24 + hour) * 60 + minute) * 60 + second))
            }
            _ => None,
        }
    }
}

/// A string up to its closing quote, and what comes after that.
fn string(inside: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut string = Vec::new();
    let mut rest = inside;
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match byte {
            b'"' => return (string, after),
            b'\\' => octal(after).unwrap_or_else(|| itself(after)),
            _ => (*byte, after),
        };
        string.push(byte);
        rest = after;
    }
    (string, rest)
}

/// What stands behind a backslash: three octal digits ...
fn octal(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = rest.split_first_chunk::<3>()?;
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    Some((u8::from_str_radix(text, 8).ok()?, after))
}

/// ... or the character itself. A statement ends in no string, so that there is one.
fn itself(rest: &[u8]) -> (u8, &[u8]) {
    rest.split_first().map_or((b'\\', rest), |(byte, after)| (*byte, after))
}

fn numbers(text: &[u8], separator: u8) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split(|byte| *byte == separator).map(parse).collect();
    numbers?.try_into().ok()
}

/// The days between 1 January 1970 and a day of the Gregorian calendar, which is not before it.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let possible = (1970..=9999).contains(&year) && (1..=31).contains(&day);
    let before_month = BEFORE_MONTH.get(usize::try_from(month.checked_sub(1)?).ok()?).filter(|_| possible)?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leap_days_before = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let leap_days = leap_days_before(year) - leap_days_before(1970) + u64::from(is_leap && month > 2);
    Some((year - 1970) * 365 + leap_days + before_month + day - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn value(line: &str) -> Value<'_> {
        statement(line.as_bytes()).expect("a statement").1
    }

    #[test]
    fn statements_end_at_their_semicolon() {
        let told = statement(b"option domain-name \"a;b\\\";c\"; # comment;").unwrap();
        assert_eq!(told, (b"option domain-name".as_slice(), Value(b"\"a;b\\\";c\"")));
        assert_eq!(told.1.strings(), [b"a;b\";c"]);
        for line in ["", ";", "bootp;", "option", "option x;", "expire 4 2026/11/22", "option a \"x;"] {
            assert_eq!(statement(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn values_are_bytes_in_three_ways() {
        assert_eq!(value("option a 8,10,192;").bytes().unwrap(), [8, 10, 192]);
        assert_eq!(value("option a 68:74:0a;").bytes().unwrap(), b"ht\n");
        assert_eq!(value("option a \"h\\164\\\"\\\\\";").bytes().unwrap(), b"ht\"\\");
        for line in ["option a 1,256;", "option a xy;", "option a \"no end;", "option a 1:;"] {
            assert_eq!(statement(line.as_bytes()).and_then(|(_, value)| value.bytes()), None, "{line}");
        }
    }

    #[test]
    fn times_are_read_in_every_form() {
        assert_eq!(value("expire 0 1970/01/01 00:00:01;").time(), Some(Some(1)));
        assert_eq!(value("expire 2 2000/02/29 12:00:00;").time(), Some(Some(951_825_600)));
        assert_eq!(value("expire 3 2000/03/01 00:00:00;").time(), Some(Some(951_868_800)));
        assert_eq!(value("expire 0 2026/11/22 14:04:18;").time(), Some(Some(1_795_356_258)));
        assert_eq!(value("expire 1 2100/03/01 00:00:00;").time(), Some(Some(4_107_542_400)));
        assert_eq!(value("expire epoch 1795356258; # Sun Nov 22").time(), Some(Some(1_795_356_258)));
        assert_eq!(value("expire never;").time(), Some(None));
        for line in [
            "expire 0 2026/13/01 00:00:00;",
            "expire 0 2026/11/22 24:00:00;",
            "expire 0 1969/12/31 00:00:00;",
        ] {
            assert_eq!(value(line).time(), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some((_, value)) = statement(&line) {
                let _ = (value.bytes(), value.strings(), value.time(), value.plain(), value.list().count());
            }
        }

        #[test]
        fn a_string_comes_back_as_it_was(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut line = b"option x \"".to_vec();
            for byte in &text {
                match byte {
                    b'"' | b'\\' => line.extend([b'\\', *byte]),
                    b' '..=b'~' => line.push(*byte),
                    _ => line.extend(format!("\\{byte:03o}").bytes()),
                }
            }
            line.extend(b"\";");
            prop_assert_eq!(statement(&line).unwrap().1.strings(), [text]);
        }
    }
}
