//! System packages: which are missing, and one apt-get call that installs them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::command::{self, as_root, say};
use crate::error::Error;
use crate::{peers, workspace};

/// The list, in the workspace.
const LIST: &str = "packaging/deps/debian.txt";

/// What a package is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Compiling and linking.
    Build,
    /// `cargo xtask run`.
    Run,
    /// Tests and demo.
    Test,
    /// The applet and its tests.
    Desktop,
    /// `cargo xtask fuzz`.
    Fuzz,
    /// `cargo xtask package`.
    Package,
    /// `cargo xtask test --system`.
    System,
}

impl Purpose {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "build" => Some(Self::Build),
            "run" => Some(Self::Run),
            "test" => Some(Self::Test),
            "desktop" => Some(Self::Desktop),
            "fuzz" => Some(Self::Fuzz),
            "package" => Some(Self::Package),
            "system" => Some(Self::System),
            _ => None,
        }
    }
}

/// The way to the system packages.
#[derive(Debug)]
pub struct Dependencies {
    /// Whether to look for packages at all.
    pub install: bool,
}

impl Dependencies {
    /// Sees to it that the packages for some purposes are installed. Nothing but one question to dpkg
    /// when they are.
    ///
    /// # Errors
    /// When this is not Debian or a relative, or apt-get fails.
    pub fn ensure(&self, purposes: &[Purpose]) -> Result<(), Error> {
        if !self.install {
            return Ok(());
        }
        let path = workspace::root().join(LIST);
        let list = fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
        let wanted = parse(&list)?.into_iter().filter(|package| package.is_for(purposes));
        let wanted: Vec<String> = wanted.map(|package| package.name).collect();
        if !is_debian(&fs::read_to_string("/etc/os-release").unwrap_or_default()) {
            return Err(Error::OtherDistribution { packages: wanted.join(" ") });
        }
        let missing = missing(&wanted)?;
        if missing.is_empty() { Ok(()) } else { install(&missing) }
    }

    /// Sees to it that the daemons of other projects are unpacked with which tests and benchmarks
    /// work.
    ///
    /// # Errors
    /// When they cannot be downloaded or unpacked.
    pub fn unpack_peers(&self) -> Result<(), Error> {
        if self.install { peers::ensure() } else { Ok(()) }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: String,
    purposes: Vec<Purpose>,
}

impl Package {
    fn is_for(&self, purposes: &[Purpose]) -> bool {
        self.purposes.iter().any(|purpose| purposes.contains(purpose))
    }
}

fn parse(list: &str) -> Result<Vec<Package>, Error> {
    let lines = list.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            let wrong = || Error::PackageList {
                list: LIST,
                line: index + 1,
                text: line.to_owned(),
                form: "package purposes why",
            };
            let mut words = line.split_whitespace();
            let name = words.next().ok_or_else(wrong)?.to_owned();
            let purposes = words.next().ok_or_else(wrong)?.split(',').map(Purpose::from_word);
            let purposes = purposes.collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
            words.next().ok_or_else(wrong)?;
            Ok(Package { name, purposes })
        })
        .collect()
}

/// Debian itself, or a system that says it is like it.
fn is_debian(os_release: &str) -> bool {
    let values = os_release.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key, "ID" | "ID_LIKE").then_some(value.trim_matches('"'))
    });
    values.flat_map(str::split_whitespace).any(|id| id == "debian")
}

fn missing(wanted: &[String]) -> Result<Vec<String>, Error> {
    // It complains about names it does not know; those are missing like the rest.
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"]).args(wanted);
    let answer = command::output(&mut query)?;
    let answer = String::from_utf8_lossy(&answer.stdout);
    let installed: BTreeSet<&str> =
        answer.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(wanted.iter().filter(|name| !installed.contains(name.as_str())).cloned().collect())
}

fn install(missing: &[String]) -> Result<(), Error> {
    say(&format!("installing {}", missing.join(" ")));
    let purpose = "installing system packages";
    let mut install: Vec<&str> = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(missing.iter().map(String::as_str));
    for arguments in [vec!["update"], install] {
        let mut apt = Command::new("env");
        apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=600", "--quiet"]);
        apt.args(arguments);
        command::run(&mut as_root(purpose, apt)?)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_list_in_the_tree_is_understood() {
        let list = fs::read_to_string(workspace::root().join(LIST)).unwrap();
        let packages = parse(&list).unwrap();
        assert!(packages.iter().any(|package| package.name == "dnsmasq-base"));
        let names: BTreeSet<&String> = packages.iter().map(|package| &package.name).collect();
        assert_eq!(names.len(), packages.len(), "a package stands there twice");
        let daemons = ["dnsmasq", "dhcpcd5", "dhcpcd", "network-manager", "avahi-daemon", "systemd-resolved"];
        assert!(daemons.iter().all(|daemon| !names.contains(&(*daemon).to_owned())));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["radvd", "radvd test", "radvd tests a router"] {
            let error = parse(&format!("# comment\n\n{wrong}\n")).unwrap_err();
            assert!(error.to_string().contains("line 3"), "{error}");
        }
    }

    #[test]
    fn debian_and_its_relatives_are_known() {
        assert!(is_debian("NAME=x\nID=debian\n"));
        assert!(is_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nPRETTY_NAME=\"not debian\"\n"));
        assert!(!is_debian(""));
    }

    #[test]
    fn what_is_unknown_is_missing() {
        let wanted = ["dpkg".to_owned(), "no-such-package-of-mif".to_owned()];
        assert_eq!(missing(&wanted).unwrap(), ["no-such-package-of-mif"]);
    }
}
