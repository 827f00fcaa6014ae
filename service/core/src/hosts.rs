//! The host table (RFC 952's heir, hosts(5)): names and addresses that this host knows by itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Names and the addresses that the table gives them. Names are kept in lower case without a final dot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTable {
    addresses: BTreeMap<Box<str>, Vec<IpAddr>>,
}

impl HostTable {
    /// Reads `text`: an address and names a line, `#` starts a comment. What is none of this is skipped, as every
    /// other reader of the file does; so are addresses with a zone.
    pub fn parse(text: &[u8]) -> Self {
        let mut table = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let mut words = line.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            for name in words {
                table.add(name, address);
            }
        }
        table
    }

    /// The addresses of `name` (case and a final dot are of no account), in the order of the file.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        self.addresses.get(&*key(name)).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, name: &str, address: IpAddr) {
        let addresses = self.addresses.entry(key(name)).or_default();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
}

fn key(name: &str) -> Box<str> {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into_boxed_str()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_comments_and_aliases() {
        let table = HostTable::parse(
            b"127.0.0.1 localhost\n\
              # 192.0.2.9 commented\n\
              192.0.2.7\tPrinter printer.example. # in the hall\r\n\
              2001:db8::7 printer\n\
              192.0.2.7 printer\n\
              not-an-address printer\n\
              fe80::1%e0 printer\n\
              \xff\xff printer\n\
              192.0.2.8 no-final-newline",
        );
        let addresses =
            |name: &str| -> Vec<String> { table.addresses(name).iter().map(ToString::to_string).collect() };
        assert_eq!(addresses("localhost"), ["127.0.0.1"]);
        assert_eq!(addresses("PRINTER."), ["192.0.2.7", "2001:db8::7"]);
        assert_eq!(addresses("printer.example"), ["192.0.2.7"]);
        assert_eq!(addresses("no-final-newline"), ["192.0.2.8"]);
        for absent in ["commented", "in", "", "not-an-address"] {
            assert!(addresses(absent).is_empty(), "{absent}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            HostTable::parse(&bytes);
        }
    }
}
