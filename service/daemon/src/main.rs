//! `mifd`: the MIF API of draft-ietf-mif-api-extension-00 as a D-Bus system service.

use clap::Parser;
use mifd::config::{Config, LogLevel};
use mifd::daemon::{self, BusChoice, Options};
use mifd::journal::{self, Lines};
use mifd::memory;
use mifd::reload::{Configuration, SetLogLevel};
use mifd::routing;
use mifd::translate::Settings;
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Publishes the provisioning domains of this machine on D-Bus as org.ietf.Mif1.
///
/// Uses the capabilities CAP_NET_ADMIN, CAP_NET_RAW, CAP_CHOWN and CAP_NET_BIND_SERVICE, and no other. Logs to standard
/// error. On SIGHUP it reads its configuration again and puts log (unless --log is given) and grace-ms in force; everything
/// else takes effect at the next start. What is wrong in it leaves all of the former one in force.
///
/// Ends with 0 on SIGTERM or SIGINT, with 1 when it cannot start or go on, with 2 on wrong arguments, with 78 on a wrong
/// configuration. mifd(8) says more.
#[derive(Parser)]
#[command(name = "mifd", version, max_term_width = 100)]
struct Arguments {
    /// Serve the bus at ADDRESS instead of the system bus; it must have the rules of the system bus
    #[arg(long, value_name = "ADDRESS", conflicts_with = "session")]
    bus: Option<String>,
    /// Serve the session bus, which lets in only its own user (development)
    #[arg(long)]
    session: bool,
    /// Read this configuration file [default: /etc/mif/mifd.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much to log: error, warn, info, debug (with names and addresses) or trace (with packets); wins over the file
    #[arg(long, value_name = "LEVEL")]
    log: Option<Level>,
    /// Lead packets by the machine's own routes only, as [routing] enabled = false does
    #[arg(long)]
    no_routing: bool,
    /// Remove all rules and routes of this service from the kernel, and end; to be called when it does not run
    #[arg(long, conflicts_with_all = ["bus", "session", "config", "record", "no_routing"])]
    remove_routing: bool,
    /// Record what the kernel, routers, DHCP clients and network managers tell as JSON lines (at most 64 MiB), for a bug
    /// report; overwrites FILE
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// EX_CONFIG of sysexits.h: starting again does not help.
const WRONG_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    memory::prepare();
    let arguments = Arguments::parse();
    if arguments.remove_routing {
        return remove_routing();
    }
    let config = match Config::load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    let set_log_level = start_logging(arguments.log.map_or(config.log, LogLevel::from));
    let bus = match (arguments.bus, arguments.session) {
        (Some(address), _) => BusChoice::Address(address),
        (None, true) => BusChoice::Session,
        (None, false) => BusChoice::System,
    };
    let translation = Settings { systems: config.names.systems(), ..config.dns.settings() };
    let routing = config.routing.layout().filter(|_| !arguments.no_routing);
    let (fetches, inquiries) = (config.web.policy(), config.dhcp.policy());
    // What the command line says stays.
    let set_log_level = arguments.log.is_none().then_some(set_log_level);
    let configuration = Configuration { path: arguments.config, config, set_log_level };
    let options =
        Options { bus, configuration, translation, routing, record: arguments.record, fetches, inquiries };
    // One thread: a request goes from the bus to the network and back without waking another. What may block has
    // threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(daemon::run(options));
            // Threads that wait for a caller's socket to close may do so for as long as the caller likes.
            runtime.shutdown_background();
            ended
        }
        Err(error) => return complain(&error),
    };
    ended.map_or_else(|error| complain(&error), |()| ExitCode::SUCCESS)
}

/// Says how much there was, for those who look.
fn remove_routing() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let removed = match runtime {
        Ok(runtime) => runtime.block_on(routing::remove_all()),
        Err(error) => return complain(&error),
    };
    match removed {
        Ok((rules, routes)) => {
            let said = writeln!(std::io::stdout().lock(), "removed {rules} rules and {routes} routes");
            said.map_or_else(|error| complain(&error), |()| ExitCode::SUCCESS)
        }
        Err(error) => complain(&error),
    }
}

/// Starts to log; how to change how much.
fn start_logging(level: LogLevel) -> SetLogLevel {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        // They would be written to standard error, with a panic where that takes nothing: on a full disk, without a
        // journal. What cannot be logged is no reason to end.
        .log_internal_errors(false)
        .event_format(Lines::new(journal::takes_stderr()))
        .with_writer(std::io::stderr);
    let (filter, handle) = reload::Layer::new(targets(level));
    tracing_subscriber::registry().with(filter).with(lines).init();
    Box::new(move |level| {
        if let Err(error) = handle.reload(targets(level)) {
            tracing::warn!(%error, "the log level cannot be changed");
        }
    })
}

/// What the libraries have to say beyond warnings is about them, not about the networks.
fn targets(level: LogLevel) -> Targets {
    let libraries = if level == LogLevel::Error { LevelFilter::ERROR } else { LevelFilter::WARN };
    Targets::new().with_default(libraries).with_target("mifd", level.filter())
}

/// Says what went wrong, and why, in one line: no logging may be set up yet.
fn complain(error: &dyn Error) -> ExitCode {
    let priority = if journal::takes_stderr() { journal::ERROR } else { "" };
    let mut line = format!("{priority}mifd: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Causes that say the same again are left out.
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    let mut stderr = std::io::stderr().lock();
    // Nobody can be told that nobody can be told.
    let _ = writeln!(stderr, "{line}");
    ExitCode::FAILURE
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}
