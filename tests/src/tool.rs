//! The programs a universe is made of, and the Debian packages they come from.

use std::path::PathBuf;
use std::process::Command;

/// Where programs are looked for: the PATH of an ordinary user leaves `sbin` out.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec";

/// Program and Debian package.
const PACKAGES: &[(&str, &str)] = &[
    ("Xvfb", "xvfb"),
    ("appstreamcli", "appstream"),
    ("at-spi-bus-launcher", "at-spi2-core"),
    ("busctl", "systemd"),
    ("cc", "gcc"),
    ("dbus-daemon", "dbus-daemon"),
    ("desktop-file-validate", "desktop-file-utils"),
    ("dhclient", "isc-dhcp-client"),
    ("dhcpcd", "dhcpcd-base"),
    ("dnsmasq", "dnsmasq-base"),
    ("ethtool", "ethtool"),
    ("gcc", "gcc"),
    ("gdbus", "libglib2.0-bin"),
    ("ip", "iproute2"),
    ("jq", "jq"),
    ("msgcat", "gettext"),
    ("msgcmp", "gettext"),
    ("msgfmt", "gettext"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("openbox", "openbox"),
    ("prlimit", "util-linux"),
    ("python3", "python3-gi"),
    ("radvd", "radvd"),
    ("setpriv", "util-linux"),
    ("ss", "iproute2"),
    ("systemd-analyze", "systemd"),
    ("systemd-nspawn", "systemd-container"),
    ("unshare", "util-linux"),
    ("xdotool", "xdotool"),
    ("xgettext", "gettext"),
];

/// A command for a program of [`SEARCH_PATH`].
///
/// # Panics
/// When it is not installed: the message names its Debian package. A missing tool is a failure,
/// never a skipped test.
#[track_caller]
pub fn command(program: &str) -> Command {
    match find(program) {
        Some(path) => Command::new(path),
        None => panic!("{program} is not installed; {}", advice(program)),
    }
}

/// Whether it is installed.
pub fn is_there(program: &str) -> bool {
    find(program).is_some()
}

fn find(program: &str) -> Option<PathBuf> {
    SEARCH_PATH.split(':').map(|folder| PathBuf::from(folder).join(program)).find(|path| path.is_file())
}

pub(crate) fn advice(program: &str) -> String {
    match PACKAGES.iter().find(|(name, _)| *name == program) {
        Some((_, package)) => format!("on Debian: apt-get install {package} (or run `cargo xtask test`)"),
        None => format!("it was looked for in {SEARCH_PATH}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_names_its_package() {
        assert!(advice("radvd").contains("apt-get install radvd"));
        assert!(advice("dhcpcd").contains("dhcpcd-base"));
    }

    #[test]
    #[should_panic(expected = "no-such-program is not installed")]
    fn a_missing_tool_is_a_failure() {
        command("no-such-program");
    }
}
