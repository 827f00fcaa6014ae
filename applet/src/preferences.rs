//! What a person prefers, kept in a file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, io};

use gtk::glib;

use crate::application;
use crate::files::{configuration, write};
use crate::model::notice::Subject;

const GROUP: &str = "Preferences";

/// What a person prefers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// What to notify of.
    pub notices: BTreeSet<Subject>,
    /// Show a status icon.
    pub status_icon: bool,
    /// Go on without a window, and start with the session.
    pub background: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { notices: Subject::ALL.into(), status_icon: true, background: false }
    }
}

impl Preferences {
    /// What was kept; the defaults for what was not.
    pub fn load() -> Self {
        let file = glib::KeyFile::new();
        match file.load_from_file(path(), glib::KeyFileFlags::NONE) {
            Ok(()) => Self::read(&file),
            Err(_) => Self::default(),
        }
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> io::Result<()> {
        write(&path(), &self.write().to_data())?;
        let entry = autostart();
        if self.background {
            return write(&entry, AUTOSTART);
        }
        match fs::remove_file(entry) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(file: &glib::KeyFile) -> Self {
        let default = Self::default();
        let flag = |key: &str, default| file.boolean(GROUP, key).unwrap_or(default);
        let notices = Subject::ALL.into_iter().filter(|subject| flag(&key(*subject), true));
        Self {
            notices: notices.collect(),
            status_icon: flag("status-icon", default.status_icon),
            background: flag("background", default.background),
        }
    }

    fn write(&self) -> glib::KeyFile {
        let file = glib::KeyFile::new();
        for subject in Subject::ALL {
            file.set_boolean(GROUP, &key(subject), self.notices.contains(&subject));
        }
        file.set_boolean(GROUP, "status-icon", self.status_icon);
        file.set_boolean(GROUP, "background", self.background);
        file
    }
}

/// What starts it with the session.
const AUTOSTART: &str = "[Desktop Entry]
Type=Application
Name=Provisioning Domains
Exec=mif-applet --gapplication-service
Icon=org.ietf.Mif1.Applet
X-GNOME-UsesNotifications=true
";

fn key(subject: Subject) -> String {
    format!("notify-{}", subject.word())
}

fn path() -> PathBuf {
    configuration().join("mif-applet/preferences.ini")
}

fn autostart() -> PathBuf {
    configuration().join("autostart").join(format!("{}.desktop", application::ID))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let preferences =
            Preferences { notices: BTreeSet::from([Subject::Captive]), status_icon: false, background: true };
        let file = glib::KeyFile::new();
        file.load_from_data(&preferences.write().to_data(), glib::KeyFileFlags::NONE).unwrap();
        assert_eq!(Preferences::read(&file), preferences);
    }

    #[test]
    fn what_is_missing_or_wrong_is_the_default() {
        let file = glib::KeyFile::new();
        let text = "[Preferences]\nnotify-lost=false\nstatus-icon=perhaps\n";
        file.load_from_data(text, glib::KeyFileFlags::NONE).unwrap();
        let preferences = Preferences::read(&file);
        assert_eq!(preferences.notices, BTreeSet::from([Subject::Gained, Subject::Captive]));
        assert!(preferences.status_icon);
    }
}
