//! A throw-away universe per test: the test binary starts itself again in new namespaces.

use std::any::type_name;
use std::io::{self, PipeReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::node::Node;
use crate::{filesystem, process, tool, wait};

/// Names the universe in the environment of the process inside it.
const INSIDE: &str = "MIF_TESTBED_UNIVERSE";

/// What a program (not a test) is called there.
const PROGRAM: &str = "program";

/// The last words of a universe whose body came to its end.
const COMPLETED: &str = "universe completed: ";

/// How long a universe may live.
const LIFETIME: Duration = Duration::from_secs(120);

/// Where the private system bus of a universe listens; programs in it find it by themselves.
pub const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// Whose rights a universe has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// A user namespace: anybody may make it; uid 0 is the only user inside.
    UserNamespace,
    /// Real root: all users of the machine exist, and those of [`user`](crate::user).
    Root,
}

/// The inside of a universe, as the test's body sees it.
#[derive(Clone, Debug)]
pub struct Universe {
    privilege: Privilege,
    host: Node,
}

impl Universe {
    /// The node under test. The test itself runs in it too.
    pub fn host(&self) -> &Node {
        &self.host
    }

    /// A new node with a name of its own: a network namespace that has only `lo`.
    pub fn node(&self, name: &str) -> Node {
        Node::create(name)
    }

    /// Whose rights this universe has.
    pub fn privilege(&self) -> Privilege {
        self.privilege
    }
}

/// Runs the body of a test in a universe that needs no privileges. To be called straight from a
/// `#[test]` function with an async closure.
///
/// # Panics
/// When the body panics or takes longer than 120 s; the message holds all it and its daemons said.
pub fn run<B>(body: B)
where
    B: AsyncFnOnce(Universe),
{
    test(Privilege::UserNamespace, body);
}

/// [`run`] as real root, for tests that need several uids. Such tests live in targets named
/// `root_*`, which `cargo xtask test` starts as root.
///
/// # Panics
/// As [`run`], and when the caller is not root.
pub fn run_as_root<B>(body: B)
where
    B: AsyncFnOnce(Universe),
{
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test needs several users, hence real root: run it with `cargo xtask test`, \
         or leave this tier out with `cargo xtask test --unprivileged`"
    );
    test(Privilege::Root, body);
}

/// Runs the body of a program in a universe that needs no privileges; what it writes is seen at
/// once. The program's own `main` is called again inside, with the same arguments. Fails when the body
/// does or panics.
pub fn run_program<B>(body: B) -> ExitCode
where
    B: AsyncFnOnce(Universe) -> ExitCode,
{
    program(Privilege::UserNamespace, body)
}

/// [`run_program`] as real root, for programs that need several uids. Fails as well when the caller is not root.
pub fn run_program_as_root<B>(body: B) -> ExitCode
where
    B: AsyncFnOnce(Universe) -> ExitCode,
{
    if !nix::unistd::geteuid().is_root() {
        complain("this needs several users: run it as root");
        return ExitCode::FAILURE;
    }
    program(Privilege::Root, body)
}

fn program<B>(privilege: Privilege, body: B) -> ExitCode
where
    B: AsyncFnOnce(Universe) -> ExitCode,
{
    if std::env::var(INSIDE).as_deref() == Ok(PROGRAM) {
        // Whoever runs a program sees what it says, and ends it when it takes too long.
        return inside(privilege, None, body);
    }
    let mut unshare = unshare(privilege, PROGRAM);
    unshare.args(std::env::args_os().skip(1));
    match wait_with_lifeline(unshare) {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("cannot start unshare: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a command to its end. The inside watches its standard input: when this process is killed, so
/// that the other end closes, it goes too.
fn wait_with_lifeline(mut command: Command) -> io::Result<ExitStatus> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    let lifeline = child.stdin.take(); // which `wait` would close
    let status = child.wait();
    drop(lifeline);
    status
}

fn test<B>(privilege: Privilege, body: B)
where
    B: AsyncFnOnce(Universe),
{
    let name = test_name::<B>();
    if std::env::var(INSIDE).as_ref() == Ok(&name) {
        inside(privilege, Some(LIFETIME), body);
        let _ = writeln!(io::stdout(), "{COMPLETED}{name}");
    } else {
        outside(privilege, &name);
    }
}

/// The path of the `#[test]` function within its crate, from the type of the closure in it. Should
/// this ever come out wrong, no test runs inside and [`outside`] misses its last words.
fn test_name<B>() -> String {
    let path = type_name::<B>();
    let path = path.split("::{{closure}}").next().unwrap_or(path);
    path.split_once("::").map_or(path, |(_crate, rest)| rest).to_owned()
}

fn unshare(privilege: Privilege, name: &str) -> Command {
    let mut unshare = tool::command("unshare");
    if privilege == Privilege::UserNamespace {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--"]);
    unshare.arg(std::env::current_exe().expect("the path of this program"));
    unshare.env(INSIDE, name).env("PATH", tool::SEARCH_PATH).env("LC_ALL", "C.UTF-8").env("HOME", "/");
    unshare.env("DBUS_SYSTEM_BUS_ADDRESS", SYSTEM_BUS).env_remove("DBUS_SESSION_BUS_ADDRESS");
    unshare
}

#[track_caller]
fn outside(privilege: Privilege, name: &str) {
    let (output, status) = {
        let mut command = unshare(privilege, name);
        command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
        capture(command).expect("start a universe")
    };
    let completed = format!("{COMPLETED}{name}\n");
    if status.success() && output.contains(&completed) {
        return;
    }
    let hint = if output.starts_with("unshare: ") {
        "\nUser namespaces are switched off here: see `sysctl user.max_user_namespaces \
         kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns`."
    } else {
        ""
    };
    panic!("the universe of {name} ended with {status}{hint}\n{output}");
}

/// Runs a command to its end, both outputs in one.
fn capture(mut command: Command) -> io::Result<(String, ExitStatus)> {
    let (mut reader, writer): (PipeReader, _) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    // The writing end goes with the command, so that the reader sees the end.
    let running = std::thread::spawn(move || wait_with_lifeline(command));
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = running.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    Ok((String::from_utf8_lossy(&output).into_owned(), status))
}

/// Prepares the new namespaces, of which this process is the first, and runs the body.
fn inside<B, T>(privilege: Privilege, lifetime: Option<Duration>, body: B) -> T
where
    B: AsyncFnOnce(Universe) -> T,
{
    let _alive = watch_over(lifetime);
    if let Err(error) = filesystem::prepare(privilege) {
        panic!("cannot prepare the files of the universe: {error}");
    }
    nix::unistd::sethostname("host").expect("name the host");
    let universe = Universe { privilege, host: Node::host() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    match catch_unwind(AssertUnwindSafe(|| runtime.block_on(body(universe)))) {
        Ok(value) => value,
        Err(panic) => {
            complain(&process::all_logs());
            resume_unwind(panic)
        }
    }
}

/// Ends this process, and with it the universe, when its time, if it has one, is up or the outside is gone.
/// Threads, for a body that blocks must not keep the universe alive.
fn watch_over(lifetime: Option<Duration>) -> mpsc::Sender<()> {
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let (alive, gone) = mpsc::channel();
    let Some(lifetime) = lifetime else { return alive };
    std::thread::spawn(move || {
        if gone.recv_timeout(lifetime) == Err(mpsc::RecvTimeoutError::Timeout) {
            let waits = wait::waiting_for();
            let waits = if waits.is_empty() { "nothing in particular".to_owned() } else { waits.join(" > ") };
            complain(&format!(
                "{}\nafter {} s still waiting for: {waits}",
                process::all_logs(),
                lifetime.as_secs()
            ));
            std::process::exit(101);
        }
    });
    alive
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of<B: AsyncFnOnce()>(_: &B) -> String {
        test_name::<B>()
    }

    #[test]
    fn the_name_of_a_test_is_its_path_in_the_crate() {
        assert_eq!(name_of(&async || ()), "universe::tests::the_name_of_a_test_is_its_path_in_the_crate");
    }
}
