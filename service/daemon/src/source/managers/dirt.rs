//! Where something is new at the managers, and has to be read anew.

use super::system_bus::Service;
use mif_core::event::Ifindex;
use mif_core::networkd;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// More places than this are all places.
const MAX_PLACES: usize = 1024;

/// Places that are new, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Places<T> {
    Some(BTreeSet<T>),
    All,
}

impl<T: Ord> Places<T> {
    pub(super) const NONE: Self = Self::Some(BTreeSet::new());

    fn add(&mut self, place: T) {
        if let Self::Some(places) = self {
            places.insert(place);
            if places.len() > MAX_PLACES {
                *self = Self::All;
            }
        }
    }

    fn any(&self) -> bool {
        !matches!(self, Self::Some(places) if places.is_empty())
    }

    /// Takes them out.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::NONE)
    }
}

/// What has to be read anew.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// Object paths of NetworkManager: devices and the parts of their configuration.
    pub(super) network_manager: Places<String>,
    /// Links of systemd-networkd.
    pub(super) networkd: Places<Ifindex>,
    /// systemd-resolved.
    pub(super) resolved: bool,
}

impl News {
    /// Everything, as at the begin.
    pub(super) const fn everything() -> Self {
        Self { network_manager: Places::All, networkd: Places::All, resolved: true }
    }

    pub(super) fn everything_of(&mut self, service: Service) {
        match service {
            Service::NetworkManager => self.network_manager_everything(),
            Service::Networkd => self.networkd_everything(),
            Service::Resolved => self.resolved(),
        }
    }

    pub(super) fn any(&self) -> bool {
        self.network_manager.any() || self.networkd.any() || self.resolved
    }

    pub(super) fn network_manager_object(&mut self, path: &str) {
        self.network_manager.add(path.to_owned());
    }

    pub(super) fn network_manager_everything(&mut self) {
        self.network_manager = Places::All;
    }

    pub(super) fn networkd_everything(&mut self) {
        self.networkd = Places::All;
    }

    /// The links whose files are called so; files that are being written have other names.
    pub(super) fn networkd_links(&mut self, names: BTreeSet<OsString>) {
        for ifindex in names.iter().filter_map(|name| networkd::ifindex(name.as_bytes())) {
            self.networkd.add(ifindex);
        }
    }

    pub(super) fn resolved(&mut self) {
        self.resolved = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_forgotten_when_taken_and_become_all_when_they_are_many() {
        let mut news = News::everything();
        assert_eq!(news.network_manager.take(), Places::All);
        assert_eq!(news.network_manager, Places::NONE);
        for number in 0..=MAX_PLACES {
            assert_eq!(news.network_manager.any(), number > 0);
            news.network_manager_object(&format!("/device/{number}"));
        }
        assert_eq!(news.network_manager, Places::All);
        news.networkd.take();
        news.networkd_links([".#3abc", "x", "0"].map(OsString::from).into());
        assert_eq!(news.networkd, Places::NONE);
        news.networkd_links([OsString::from("3")].into());
        assert_eq!(news.networkd, Places::Some([3].into()));
    }
}
