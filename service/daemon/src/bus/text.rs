//! Texts as they come from callers.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::ops::Deref;
use zbus::Signature;
use zbus::wire::Type;

/// So many bytes of a text are looked at. None that is right is as long, and messages show less of wrong ones.
const LONGEST: usize = 4_096;

/// A text, the first 4 KiB of it: a megabyte is not copied to be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    fn of(text: &str) -> Self {
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].to_owned())
    }
}

impl Type for Text {
    const SIGNATURE: &'static Signature = <String as Type>::SIGNATURE;
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Start;

        impl Visitor<'_> for Start {
            type Value = Text;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::of(text))
            }
        }

        deserializer.deserialize_str(Start)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use zbus::Message;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(String::from(Text::of("eth1")), "eth1");
        assert_eq!(Text::of(&"\u{20ac}".repeat(5_000)).len(), 1_365 * 3);
        let body = ("a".repeat(1 << 20), 7_u16);
        let message = Message::method_call("/", "Any").build(&body).unwrap();
        let (text, number): (Text, u16) = message.body().deserialize().unwrap();
        assert_eq!((text.len(), number), (LONGEST, 7), "what stands behind it is read");
    }
}
