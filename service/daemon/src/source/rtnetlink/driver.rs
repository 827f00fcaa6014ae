//! What only a driver knows of its link, by way of sysfs. Everything works without it, only less exactly.

use super::link::{KindHint, LinkMessage};
use mif_core::event::{Ifindex, LinkKind};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The kinds of the links whose messages leave it open. Each driver is asked once: a link never changes its kind.
#[derive(Clone, Debug)]
pub(super) struct Drivers {
    class_net: PathBuf,
    asked: BTreeMap<Ifindex, LinkKind>,
}

impl Drivers {
    /// Asks below `class_net`, normally `/sys/class/net`.
    pub(super) const fn new(class_net: PathBuf) -> Self {
        Self { class_net, asked: BTreeMap::new() }
    }

    /// The kind of `link`.
    pub(super) fn kind(&mut self, link: &LinkMessage) -> LinkKind {
        let guess = match link.kind {
            KindHint::Known(kind) => return kind,
            KindHint::Guess(guess) => guess,
        };
        if let Some(kind) = self.asked.get(&link.ifindex) {
            return *kind;
        }
        let file = self.class_net.join(OsStr::from_bytes(&link.name)).join("uevent");
        let uevent = fs::read(file).unwrap_or_default();
        let kind = kind_in_uevent(&uevent, link.ifindex).unwrap_or(guess);
        self.asked.insert(link.ifindex, kind);
        kind
    }

    /// The link is gone, and its number may come back for another one.
    pub(super) fn forget(&mut self, ifindex: Ifindex) {
        self.asked.remove(&ifindex);
    }

    /// All links may have changed.
    pub(super) fn forget_all(&mut self) {
        self.asked.clear();
    }
}

/// The DEVTYPE in a link's `uevent` file. One with another number belongs to another network namespace, whose
/// sysfs is mounted here.
fn kind_in_uevent(uevent: &[u8], ifindex: Ifindex) -> Option<LinkKind> {
    let value = |key: &[u8]| uevent.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key));
    if value(b"IFINDEX=")? != ifindex.to_string().as_bytes() {
        return None;
    }
    match value(b"DEVTYPE=")? {
        b"wlan" => Some(LinkKind::Wifi),
        b"wwan" => Some(LinkKind::Wwan),
        b"bridge" => Some(LinkKind::Bridge),
        b"vlan" => Some(LinkKind::Vlan),
        b"bond" => Some(LinkKind::Bond),
        b"ppp" | b"vxlan" | b"geneve" | b"wireguard" => Some(LinkKind::Tunnel),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use mif_core::event::LinkState;

    #[test]
    fn devtype_tells_radios_from_cables() {
        assert_eq!(kind_in_uevent(b"DEVTYPE=wlan\nINTERFACE=w0\nIFINDEX=3\n", 3), Some(LinkKind::Wifi));
        assert_eq!(kind_in_uevent(b"DEVTYPE=wwan\nINTERFACE=w0\nIFINDEX=3\n", 3), Some(LinkKind::Wwan));
        assert_eq!(kind_in_uevent(b"INTERFACE=eth0\nIFINDEX=3\n", 3), None);
        assert_eq!(
            kind_in_uevent(b"DEVTYPE=wlan\nINTERFACE=w0\nIFINDEX=4\n", 3),
            None,
            "of another namespace"
        );
        assert_eq!(kind_in_uevent(b"", 3), None);
    }

    #[test]
    fn a_hidden_sysfs_leaves_the_guess() {
        let mut drivers = Drivers::new(PathBuf::from("/nonexistent"));
        let link = LinkMessage {
            ifindex: 3,
            name: b"w\xff".to_vec(),
            alias: None,
            state: LinkState::Up,
            kind: KindHint::Guess(LinkKind::Ethernet),
            admin_up: true,
            master: None,
        };
        assert_eq!(drivers.kind(&link), LinkKind::Ethernet);
        let known = LinkMessage { kind: KindHint::Known(LinkKind::Bond), ..link };
        assert_eq!(drivers.kind(&known), LinkKind::Bond);
    }
}
