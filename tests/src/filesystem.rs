//! The files of a universe: private and empty where the machine keeps its configuration and state.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;

use crate::booted::FOLDER;
use crate::universe::Privilege;
use crate::user::{GROUP, MEMBER, ORDINARY_USER, POLKIT_USER, SERVICE_USER};

/// Where the testbed keeps logs, configuration and sockets of its daemons.
pub const TESTBED: &str = "/run/testbed";

/// The folder of the built programs, reachable for every uid of the universe.
pub const PROGRAMS: &str = "/run/testbed/programs";

/// Parts of `/etc` that programs need to run at all; the rest of the machine's configuration
/// stays outside, so that it cannot change a test.
const KEPT_OF_ETC: &[&str] = &[
    "alternatives",
    "fonts",
    "iproute2",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "protocols",
    "services",
    "xdg",
];

/// Users that daemons want to become. In a user namespace only uid 0 exists, so they all are it.
const ALIASES_OF_ROOT: &[&str] = &[
    "avahi",
    "dhcpcd",
    "dnsmasq",
    "messagebus",
    "mifd",
    "nobody",
    "radvd",
    "systemd-network",
    "systemd-resolve",
];

/// Gives this process's mount namespace fresh `/etc`, `/run`, `/tmp`, `/var`, `/proc` and a
/// read-only `/sys`. The namespace must be our own already.
///
/// # Errors
/// When a mount is refused; the text says which.
pub fn prepare(privilege: Privilege) -> io::Result<()> {
    let kept = KeptFolders::open()?;
    tmpfs("/run")?;
    build_etc(Path::new("/run/etc"), privilege)?;
    for folder in ["/tmp", "/var"] {
        tmpfs(folder)?;
    }
    bind("/run/etc", Path::new("/etc"))?;
    build_var()?;
    fs::create_dir_all("/run/netns")?;
    fs::create_dir_all(Path::new(TESTBED).join("log"))?;
    kept.put_back()?;
    bind_programs()?;
    mount_failure("/proc", mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>))?;
    read_only_sys()
}

/// Folders that tests need and that may lie below a folder that is about to be hidden: the build
/// (a clone may well live in `/tmp`) and the sources.
struct KeptFolders(Vec<(PathBuf, std::os::fd::OwnedFd)>);

impl KeptFolders {
    fn open() -> io::Result<Self> {
        let mut kept = Vec::new();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
        let system = std::env::var_os(FOLDER).map(PathBuf::from);
        for folder in [workspace, profile_folder().ok(), system].into_iter().flatten() {
            let hidden = ["/etc", "/run", "/tmp", "/var"].iter().any(|above| folder.starts_with(above));
            if hidden && folder.exists() {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                let fd = nix::fcntl::open(&folder, flags, Mode::empty())?;
                kept.push((folder, fd));
            }
        }
        Ok(Self(kept))
    }

    fn put_back(self) -> io::Result<()> {
        for (folder, fd) in self.0 {
            fs::create_dir_all(&folder)?;
            bind(&format!("/proc/self/fd/{}", fd.as_raw_fd()), &folder)?;
        }
        Ok(())
    }
}

/// The folder `target/<profile>` in which cargo built this very program.
///
/// # Errors
/// When the path of the program is not known.
pub fn profile_folder() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or(io::ErrorKind::NotFound)?;
    // Test binaries lie in `deps`, programs beside it.
    Ok(if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned())
}

fn bind_programs() -> io::Result<()> {
    fs::create_dir_all(PROGRAMS)?;
    let from = profile_folder()?;
    bind(&from.to_string_lossy(), Path::new(PROGRAMS))
}

fn build_etc(etc: &Path, privilege: Privilege) -> io::Result<()> {
    fs::create_dir_all(etc)?;
    for name in KEPT_OF_ETC {
        let from = Path::new("/etc").join(name);
        if from.exists() {
            copy(&from, &etc.join(name))?;
        }
    }
    fs::write(etc.join("hostname"), "host\n")?;
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
    fs::write(etc.join("machine-id"), "6d69662d746573747365642d756e6976\n")?;
    fs::write(etc.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n")?;
    fs::write(etc.join("resolv.conf"), "")?;
    build_users(etc, privilege)
}

fn build_users(etc: &Path, privilege: Privilege) -> io::Result<()> {
    let (mut passwd, mut group) = match privilege {
        Privilege::UserNamespace => ("root:x:0:0:root:/:/bin/sh\n".to_owned(), "root:x:0:\n".to_owned()),
        Privilege::Root => (fs::read_to_string("/etc/passwd")?, fs::read_to_string("/etc/group")?),
    };
    let new_users: &[(&str, u32)] = match privilege {
        Privilege::UserNamespace => &[],
        Privilege::Root => {
            &[(SERVICE_USER, 64_911), (ORDINARY_USER, 64_912), (MEMBER, 64_913), (POLKIT_USER, 64_914)]
        }
    };
    if privilege == Privilege::UserNamespace {
        for name in ALIASES_OF_ROOT {
            passwd.push_str(&format!("{name}:x:0:0::/:/bin/false\n"));
            group.push_str(&format!("{name}:x:0:\n"));
        }
    }
    for (name, id) in new_users {
        // A machine on which mif is installed has the service user already.
        if !passwd.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            passwd.push_str(&format!("{name}:x:{id}:{id}::/:/bin/false\n"));
            group.push_str(&format!("{name}:x:{id}:\n"));
        }
    }
    if privilege == Privilege::Root {
        // Whoever is in it on this machine has no part in a test.
        let others = group.lines().filter(|line| !line.starts_with(&format!("{GROUP}:")));
        group = others.map(|line| format!("{line}\n")).collect();
        group.push_str(&format!("{GROUP}:x:64910:{MEMBER}\n"));
    }
    fs::write(etc.join("passwd"), passwd)?;
    fs::write(etc.join("group"), group)
}

fn build_var() -> io::Result<()> {
    for folder in ["cache", "lib/dhcpcd", "lib/misc", "log", "tmp"] {
        fs::create_dir_all(Path::new("/var").join(folder))?;
    }
    symlink("/run", "/var/run")
}

/// Copies a file, a symbolic link or a folder, skipping what may not be read.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return match fs::copy(from, to) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other.map(drop),
        };
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Copies what is in a folder into another one and leaves there what exists already.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy_missing(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if to.symlink_metadata().is_err() {
            copy(&from, &to)?;
        } else if entry.file_type()?.is_dir() && to.is_dir() {
            copy_missing(&from, &to)?;
        }
    }
    Ok(())
}

fn tmpfs(on: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_failure(on, mount(Some("tmpfs"), on, Some("tmpfs"), flags, Some("mode=755")))?;
    if on == "/tmp" {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(on, fs::Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

fn bind(from: &str, to: &Path) -> io::Result<()> {
    // Recursive: a user namespace may not uncover what a mount from outside hides.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount_failure(&to.to_string_lossy(), mount(Some(from), to, None::<&str>, flags, None::<&str>))
}

/// networkd and NetworkManager wait for udev for ever when `/sys` is writable, and a `/sys` from
/// outside shows the links of another network namespace.
fn read_only_sys() -> io::Result<()> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_failure("/sys", mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>))
}

fn mount_failure(on: &str, result: nix::Result<()>) -> io::Result<()> {
    result.map_err(|error| io::Error::other(format!("cannot mount on {on}: {error}")))
}
