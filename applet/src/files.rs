//! Small files that a person's programs keep.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gtk::glib;

/// Where preferences are kept.
pub fn configuration() -> PathBuf {
    glib::user_config_dir()
}

/// Where is kept what a program remembers, but nobody would miss (XDG_STATE_HOME).
pub fn state() -> PathBuf {
    let named = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.unwrap_or_else(|| glib::home_dir().join(".local/state"))
}

/// Writes a file, in folders of which those that are new are for this person only.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Nobody reads half a file.
    glib::file_set_contents(path, text.as_bytes()).map_err(io::Error::other)
}
