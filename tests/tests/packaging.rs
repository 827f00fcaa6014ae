//! What packages install fits the programs, and the files of the packages fit each other.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mif_tests::tool;

/// Interfaces that every service has.
const STANDARD: [&str; 4] = [
    "org.freedesktop.DBus.Introspectable",
    "org.freedesktop.DBus.ObjectManager",
    "org.freedesktop.DBus.Peer",
    "org.freedesktop.DBus.Properties",
];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// An empty folder.
fn fresh(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaging").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The part of a line between two others.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    line.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

/// The interfaces of dbus-interfaces, from the names of the files.
fn described() -> BTreeSet<String> {
    let files = fs::read_dir(workspace().join("dbus-interfaces")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".xml").map(str::to_owned)).collect()
}

/// Package, path and source of each line of the list.
fn installed() -> Vec<(String, String, String)> {
    let list = read("packaging/install.txt");
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [package, _mode, to, from @ ..] = &words[..] else { panic!("{line:?}") };
            ((*package).to_owned(), (*to).to_owned(), from.join(" "))
        })
        .collect()
}

#[test]
fn everything_that_is_installed_is_there() {
    for (_, to, from) in installed() {
        let made = ["program ", "output ", "page "].iter().any(|kind| from.starts_with(kind));
        let file = from.strip_prefix("translation ").or_else(|| from.strip_prefix("unit "));
        let from = file.unwrap_or(&from);
        assert!(made || workspace().join(from).is_file(), "{to} is to be made from {from}");
    }
}

#[test]
fn every_manual_page_of_mifctl_is_installed() {
    let folder = fresh("pages");
    let own = std::env::current_exe().unwrap();
    // Test binaries lie in `deps`, programs beside it.
    let mifctl = own.ancestors().nth(2).unwrap().join("mifctl");
    let said = Command::new(mifctl).arg("manual").arg(&folder).output().expect("cargo build -p mifctl");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let written = fs::read_dir(folder).unwrap();
    let written = written.map(|page| page.unwrap().file_name().into_string().unwrap());
    let listed = installed().into_iter().filter_map(|(_, to, from)| {
        let page = from.strip_prefix("page ")?.to_owned();
        assert_eq!(to, format!("/usr/share/man/man1/{page}"));
        Some(page)
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), written.collect::<BTreeSet<_>>());
}

#[test]
fn programs_start_from_where_they_are_installed() {
    let folder = fresh("installed");
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    fs::write(programs.join("mifd"), "").unwrap();
    for (options, sbin) in [(&[][..], "/usr/sbin"), (&["--sbin", "/usr/bin"][..], "/usr/bin")] {
        let root = folder.join(sbin.trim_start_matches('/'));
        let mut install = Command::new(workspace().join("packaging/install"));
        install.args(["--package", "mifd", "--programs"]).arg(&programs).arg("--destdir").arg(&root);
        let said = install.args(options).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        assert!(root.join(format!("{}/mifd", &sbin[1..])).is_file(), "{sbin}");
        let unit = fs::read_to_string(root.join("usr/lib/systemd/system/mifd.service")).unwrap();
        assert!(unit.contains(&format!("\nExecStart={sbin}/mifd\n")), "{unit}");
        let files = tool::command("grep").args(["-rl", "/usr/sbin/"]).arg(&root).output().unwrap();
        assert_eq!(files.stdout.is_empty(), sbin != "/usr/sbin", "{files:?}");
    }
}

#[test]
fn the_specification_reads_nothing_before_it_is_unpacked() {
    let specification = read("packaging/rpm/mif.spec");
    let mut macros = specification.lines().filter(|line| line.contains("%sysusers_create_compat"));
    assert!(macros.all(|line| line.contains("%sysusers_create_compat %{SOURCE1}")));
    assert!(specification.contains("\nSource1:        mif.conf\n"));
}

#[test]
fn every_interface_is_installed_and_may_be_called() {
    let xml = installed().into_iter().filter_map(|(_, to, _)| {
        Some(to.strip_prefix("/usr/share/dbus-1/interfaces/")?.strip_suffix(".xml")?.to_owned())
    });
    assert_eq!(xml.collect::<BTreeSet<_>>(), described());
    let policy = read("packaging/dbus/org.ietf.Mif1.conf");
    let allowed = policy.lines().filter_map(|line| between(line, "send_interface=\"", "\""));
    let mut expected = described();
    expected.extend(STANDARD.map(str::to_owned));
    assert_eq!(allowed.map(str::to_owned).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn all_packages_have_the_version_of_the_workspace() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("packaging/debian/changelog").starts_with(&format!("mif ({version}-1) ")));
    assert!(read("packaging/arch/PKGBUILD").contains(&format!("\npkgver={version}\n")));
    let specification = read("packaging/rpm/mif.spec");
    let line = specification.lines().find_map(|line| line.strip_prefix("Version:")).unwrap();
    assert_eq!(line.trim(), version);
}

#[test]
fn every_package_is_described_for_every_distribution() {
    let packages: BTreeSet<String> = installed().into_iter().map(|(package, _, _)| package).collect();
    let control = read("packaging/debian/control");
    let specification = read("packaging/rpm/mif.spec");
    let recipe = read("packaging/arch/PKGBUILD");
    for package in packages {
        assert!(control.contains(&format!("\nPackage: {package}\n")), "{package}: control");
        assert!(
            specification.contains(&format!("\n%files -n {package} -f {package}.files\n")),
            "{package}: spec"
        );
        assert!(recipe.contains(&format!("\npackage_{package}() {{\n")), "{package}: PKGBUILD");
    }
}

#[test]
fn the_unit_is_correct_and_tight() {
    let unit = "packaging/systemd/mifd.service";
    // Exposure from 0 to 10, here in tenths: systemd-resolved's unit has 22.
    let mut security = tool::command("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=21", "--no-pager"]);
    let said = security.arg(workspace().join(unit)).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    let capabilities = read(unit);
    let set = |name: &str| -> BTreeSet<String> {
        let line = capabilities.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().map(str::to_owned).collect()
    };
    let expected = ["CAP_CHOWN", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW"];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    assert_eq!(set("AmbientCapabilities="), expected);
    assert_eq!(set("CapabilityBoundingSet="), expected);
}

#[test]
fn the_service_is_started_by_the_bus_through_its_unit() {
    let activation = read("packaging/dbus/org.ietf.Mif1.service");
    let unit = read("packaging/systemd/mifd.service");
    let alias = between(&activation, "SystemdService=", "\n").unwrap();
    assert!(unit.contains(&format!("\nAlias={alias}\n")));
    assert!(unit.contains("\nBusName=org.ietf.Mif1\n") && activation.contains("\nName=org.ietf.Mif1\n"));
    assert!(unit.contains("\nUser=mifd\n") && activation.contains("\nUser=mifd\n"));
    let users = read("packaging/sysusers/mif.conf");
    assert!(users.contains("\nu mifd ") && users.contains("\ng mif "));
    let program: PathBuf = between(&unit, "\nExecStart=", "\n").unwrap().into();
    assert!(installed().iter().any(|(_, to, _)| Path::new(to) == program));
}
