//! A private bus with the rules of the system bus.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::Daemon;
use crate::error::Error;

/// The policy as it is installed; but root is the service here.
const POLICY: &str = include_str!("../../dbus/org.ietf.Mif1.conf");

/// The rules of dbus-daemon's own `system.conf`, and those of our service.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=@SOCKET@</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>policy.conf</include>
</busconfig>
"#;

/// A running dbus-daemon and the folder of its socket, both gone when this is dropped.
#[derive(Debug)]
pub struct Bus {
    address: String,
    // Dropped in this order: first the daemon, then its folder.
    _daemon: Daemon,
    _folder: Folder,
}

impl Bus {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn start() -> Result<Self, Error> {
        let folder = Folder::create()?;
        let config = folder.0.join("bus.conf");
        let socket = folder.0.join("bus");
        let text = CONFIG.replace("@SOCKET@", &socket.to_string_lossy());
        fs::write(&config, text).map_err(|source| Error::File { path: config.clone(), source })?;
        let policy = folder.0.join("policy.conf");
        let text = POLICY.replace("\"mifd\"", "\"root\"");
        fs::write(&policy, text).map_err(|source| Error::File { path: policy.clone(), source })?;
        let mut command = Command::new("dbus-daemon");
        command.arg("--config-file").arg(config);
        command.args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"]);
        // It complains about limits that an ordinary user cannot raise: of interest only if it fails.
        let log = folder.0.join("bus.log");
        let file = File::create(&log).map_err(|source| Error::File { path: log.clone(), source })?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut daemon = Daemon::start(command)?;
        let address = first_line(&mut daemon);
        match address.split(',').next() {
            Some(address) if !address.is_empty() => {
                Ok(Self { address: address.to_owned(), _daemon: daemon, _folder: folder })
            }
            _ => {
                let log = fs::read_to_string(&log).unwrap_or_default();
                Err(Error::Daemon { name: "dbus-daemon", what: "did not start".to_owned(), log })
            }
        }
    }

    /// Where it listens, as `--bus` and `busctl --address` take it.
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn first_line(daemon: &mut Daemon) -> String {
    let mut line = String::new();
    if let Some(stdout) = daemon.child().stdout.take() {
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    line.trim_end().to_owned()
}

/// A new folder that is removed when this is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("mif-{}", std::process::id()));
        // Fails when it is there: nobody can have put a socket into it.
        fs::create_dir(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_listens_and_leaves_nothing_behind() {
        let mut bus = Bus::start().unwrap();
        let socket = PathBuf::from(bus.address().strip_prefix("unix:path=").unwrap());
        std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let folder = bus._folder.0.clone();
        assert!(bus._daemon.ended().is_none());
        let process = PathBuf::from(format!("/proc/{}", bus._daemon.child().id()));
        drop(bus);
        assert!(!folder.exists());
        assert!(!process.exists(), "dbus-daemon was ended and reaped");
    }
}
