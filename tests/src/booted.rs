//! A Debian with systemd as PID 1, which uses the network of a node: for what only an installed system shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::process::{Output, Process, output};
use crate::tool;
use crate::universe::{Privilege, Universe};
use crate::wait::eventually;

/// Names the folder with the files of a system and the packages under test: `cargo xtask test --system`.
pub const FOLDER: &str = "MIF_SYSTEM";

/// Where the system's files are: those of the folder, and over them what changes.
const ROOT: &str = "/run/system";
const CHANGES: &str = "/run/system-changes";

/// Says "running" once the boot is over, and else what failed. On a machine with much else to do a unit of the
/// distribution's own may fail in the boot; it is started again, because it is not what is tested.
const RUNNING: &str = "systemctl is-system-running && exit; systemctl --failed --no-legend --plain; \
                       systemctl --failed --no-legend --plain | awk '{ print $1 }' | xargs --no-run-if-empty \
                       systemctl restart --no-block";

/// A running system. It ends with the universe.
#[derive(Clone, Debug)]
pub struct Booted {
    container: Process,
    first: u32,
}

impl Booted {
    /// Boots a fresh system over the links of the universe's host.
    ///
    /// # Panics
    /// When the universe is not one of root, or the system does not come up.
    pub async fn start(universe: &Universe) -> Self {
        assert_eq!(universe.privilege(), Privilege::Root, "systemd boots as root only");
        mount_control_groups();
        mount_root();
        let mut container = tool::command("systemd-nspawn");
        container.args(["--directory", ROOT, "--boot", "--register=no", "--keep-unit", "--console=pipe"]);
        container.args([
            "--machine=host",
            "--capability=CAP_NET_ADMIN",
            "--network-namespace-path=/proc/self/ns/net",
        ]);
        let container = universe.host().spawn("systemd-nspawn", container);
        // Another child of the container's process makes the namespaces before, and ends.
        let first = eventually("the first process of the system", async || {
            let children = format!("/proc/{0}/task/{0}/children", container.pid());
            let children = fs::read_to_string(children).unwrap_or_default();
            let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let mut children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
            children.find(|pid| name(pid) == "systemd\n").ok_or_else(|| container.log())
        })
        .await;
        let system = Self { container, first };
        eventually("the end of the boot", async || {
            let state = system.try_run(RUNNING).await;
            if state.stdout.trim() == "running" { Ok(()) } else { Err(format!("{state:?}")) }
        })
        .await;
        system
    }

    /// Runs a line of shell in the system.
    pub async fn try_run(&self, line: &str) -> Output {
        output(self.command(line)).await
    }

    /// [`Self::try_run`] for what must succeed. Returns what it writes.
    ///
    /// # Panics
    /// When it fails.
    pub async fn run(&self, line: &str) -> String {
        let output = self.try_run(line).await;
        assert!(output.code == 0, "{line}: {output:?}\n{}", self.journal().await);
        output.stdout
    }

    /// What mifd wrote into the journal, and what systemd wrote about it.
    pub async fn journal(&self) -> String {
        self.try_run("journalctl --no-pager --unit mifd.service").await.stdout
    }

    /// Copies the packages under test into the system and returns their paths there, each with a blank behind.
    pub fn packages(&self) -> String {
        let folder = PathBuf::from(given("packages"));
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let names = files.map(|file| file.expect("list the packages").file_name());
        let mut names: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".deb")).collect();
        names.sort();
        let mut paths = String::new();
        for name in names {
            fs::copy(folder.join(&name), self.path("/root").join(&name)).expect("copy a package");
            paths.push_str(&format!("/root/{} ", name.to_string_lossy()));
        }
        paths
    }

    /// Where a file of the system is for this process.
    pub fn path(&self, path: &str) -> PathBuf {
        Path::new(ROOT).join(path.trim_start_matches('/'))
    }

    /// The container's own process and log.
    pub fn container(&self) -> &Process {
        &self.container
    }

    fn command(&self, line: &str) -> Command {
        let mut command = tool::command("nsenter");
        command.arg(format!("--target={}", self.first));
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]);
        command.args(["/bin/sh", "-c", line]);
        command.env_clear().env("PATH", tool::SEARCH_PATH).env("LC_ALL", "C.UTF-8").env("HOME", "/root");
        command
    }
}

/// The system's files, fresh for each test and gone with it: all changes are in memory.
fn mount_root() {
    let (upper, work) = (format!("{CHANGES}/upper"), format!("{CHANGES}/work"));
    for folder in [ROOT, CHANGES] {
        fs::create_dir_all(folder).expect("make the folders of the system");
    }
    let flags = MsFlags::empty();
    mount(Some("tmpfs"), CHANGES, Some("tmpfs"), flags, Some("mode=755")).expect("mount room for changes");
    for folder in [&upper, &work] {
        fs::create_dir(folder).expect("make the folders of changes");
    }
    let lower = given("root");
    assert!(!lower.contains([':', ',', '\\']), "{lower}: overlayfs takes no such path without more ado");
    let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    mount(Some("overlay"), ROOT, Some("overlay"), flags, Some(layers.as_str()))
        .unwrap_or_else(|error| panic!("mount {layers}: {error}"));
}

/// A file of the folder that `cargo xtask test --system` prepares, which /run and /tmp of the universe may hide.
fn given(name: &str) -> String {
    let folder = std::env::var(FOLDER)
        .unwrap_or_else(|_| panic!("{FOLDER} is not set: run `cargo xtask test --system`"));
    Path::new(&folder).join(name).to_string_lossy().into_owned()
}

/// The fresh `/sys` of a universe has no control groups, without which systemd does not boot.
fn mount_control_groups() {
    const FOLDER: &str = "/sys/fs/cgroup";
    let own = fs::read_to_string("/proc/self/cgroup").expect("read the own control group");
    let none = None::<&str>;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = |kind: &str, on: &str, data: Option<&str>| {
        mount(Some(kind), on, Some(kind), flags, data)
            .unwrap_or_else(|error| panic!("mount {kind} on {on}: {error}"));
    };
    if !own.contains("name=systemd") {
        mounted("cgroup2", FOLDER, none);
        return;
    }
    // The hierarchies of version 1, one of which is systemd's, and that of version 2 beside them.
    mounted("tmpfs", FOLDER, Some("mode=755"));
    for name in ["systemd", "unified"] {
        fs::create_dir(Path::new(FOLDER).join(name)).expect("make a folder for control groups");
    }
    mounted("cgroup", "/sys/fs/cgroup/systemd", Some("none,name=systemd"));
    mounted("cgroup2", "/sys/fs/cgroup/unified", none);
}
