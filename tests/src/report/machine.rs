//! Where and with what it was measured.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::tool::SEARCH_PATH;

/// A machine and the versions of what was measured on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its processor.
    pub processor: String,
    /// How many of them.
    pub processors: usize,
    /// Linux.
    pub kernel: String,
    /// What took part, by name.
    pub versions: BTreeMap<&'static str, String>,
}

/// Who is asked for a version, and how.
const PROGRAMS: [(&str, &str, &str); 4] = [
    ("dbus-daemon", "dbus-daemon", "--version"),
    ("dbus-broker", "dbus-broker", "--version"),
    ("systemd", "systemctl", "--version"),
    ("NetworkManager", "NetworkManager", "--version"),
];

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let mut versions: BTreeMap<_, _> = PROGRAMS
            .into_iter()
            .filter_map(|(name, program, option)| Some((name, version_of(program, option)?)))
            .collect();
        versions.insert("mif", env!("CARGO_PKG_VERSION").to_owned());
        Self {
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            versions,
        }
    }
}

/// The first line that the program says about itself; nothing when it is not there.
fn version_of(program: &str, option: &str) -> Option<String> {
    let path = SEARCH_PATH.split(':').map(|folder| format!("{folder}/{program}"));
    let path = path.into_iter().find(|path| fs::exists(path).unwrap_or(false))?;
    let output = Command::new(path).arg(option).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}
