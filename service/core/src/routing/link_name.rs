//! The name of an interface as rules have it.

/// IFNAMSIZ, without the zero at the end.
const LONGEST: usize = 15;

/// The name of an interface, as the kernel compares it in rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkName {
    octets: [u8; LONGEST],
    length: usize,
}

impl LinkName {
    /// `None` for what is no name, and for one with other than visible ASCII letters: such names cannot be written into
    /// a rule as they are.
    pub fn new(name: &str) -> Option<Self> {
        let visible = name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/');
        if name.is_empty() || name.len() > LONGEST || !visible {
            return None;
        }
        let mut octets = [0; LONGEST];
        octets.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { octets, length: name.len() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // It was made of ASCII.
        self.octets.get(..self.length).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn names_that_links_have() {
        for name in ["a", "wg0", "vpn-to.office_1", "123456789012345"] {
            assert_eq!(LinkName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "1234567890123456", "a b", "a/b", "\u{fc}ber", "a\n"] {
            assert_eq!(LinkName::new(name), None, "{name}");
        }
    }
}
