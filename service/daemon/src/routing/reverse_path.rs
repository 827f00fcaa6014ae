//! The reverse path filter of an interface (rp_filter).

use mif_core::event::Ifindex;
use nix::net::if_::if_indextoname;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// RFC 3704 strict mode: a packet must come in by the link that answers would leave by.
const STRICT: u8 = 1;

/// Whether the filter of this interface is strict: the kernel takes the greater of its own value and that for all.
/// What cannot be read is not.
pub(super) fn is_strict(ifindex: Ifindex) -> bool {
    let Ok(name) = if_indextoname(ifindex) else { return false };
    let value = |name: &OsStr| -> u8 {
        let path = Path::new("/proc/sys/net/ipv4/conf").join(name).join("rp_filter");
        std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    };
    value(OsStr::from_bytes(name.to_bytes())).max(value(OsStr::new("all"))) == STRICT
}
