//! The host table.

use mif_core::hosts::HostTable;

/// Reads any bytes as such a table: what is asked for in another case, or with a final dot, is the same.
pub fn check(text: &[u8]) {
    let table = HostTable::parse(text);
    for name in String::from_utf8_lossy(text).split_ascii_whitespace() {
        let addresses = table.addresses(name);
        if let Some(name) = name.strip_suffix('.').filter(|name| !name.ends_with('.')) {
            assert_eq!(addresses, table.addresses(name));
        }
        assert_eq!(addresses, table.addresses(&name.to_ascii_uppercase()));
    }
}
