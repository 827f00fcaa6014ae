//! `mifctl`: see and use the provisioning domains of this machine.

mod args;
mod clock;
mod completion;
mod connect;
mod explain;
mod failure;
mod format;
mod get;
mod list;
mod manual;
mod monitor;
mod output;
mod selection;
mod status;
mod translate;
mod unit;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Verb};
use failure::Failure;
use mif::BusChoice;
use output::Output;
use zbus::Connection;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bus = arguments.global.bus_choice();
    let mut output = Output::standard(&arguments.global);
    match run(arguments, &mut output).and_then(|()| output.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read us has heard enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            failure::report(&failure, &bus);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Does what is asked for. A command to be executed replaces this process only after the runtime, with all
/// its file descriptors, is gone.
fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    // These ask nobody.
    match &arguments.verb {
        Verb::Completion(request) => return completion::run(request.shell, output),
        Verb::Manual(request) => return manual::run(&request.folder),
        _ => {}
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let after = runtime.block_on(async {
        let bus = arguments.global.bus_choice();
        let connection = mif::connect(&bus).await?;
        // The monitor waits for whatever comes.
        let may_fail = matches!(bus, BusChoice::System) && !matches!(arguments.verb, Verb::Monitor);
        tokio::select! {
            after = ask(&connection, &arguments.verb, output) => after,
            () = unit::failed(&connection), if may_fail => Err(Failure::UnitFailed),
        }
    })?;
    drop(runtime);
    match after {
        None => Ok(()),
        Some(command) => Err(command.execute()),
    }
}

/// Does what the service is to be asked for. Returns what is to be executed after that.
async fn ask(
    connection: &Connection,
    verb: &Verb,
    output: &mut Output,
) -> Result<Option<connect::SocketCommand>, Failure> {
    match verb {
        Verb::Status(request) => status::run(connection, request, output).await.map(|()| None),
        Verb::List(request) => list::run(connection, request, output).await.map(|()| None),
        Verb::Get(request) => get::run(connection, request, output).await.map(|()| None),
        Verb::Completion(_) | Verb::Manual(_) => Ok(None),
        Verb::Monitor => monitor::run(connection, output).await.map(|()| None),
        Verb::Translate(request) => translate::run(connection, request, output).await.map(|()| None),
        Verb::Explain(request) => explain::run(connection, request, output).await.map(|()| None),
        Verb::Connect(request) => connect::run(connection, request, output).await,
    }
}
