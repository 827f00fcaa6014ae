//! `mifctl status`: interfaces and provisioning domains as they are now.

mod configuration;
mod details;
mod json;
#[cfg(test)]
pub mod samples;
mod tree;

use std::time::Duration;

use configuration::Configurations;
use mif::State;
use zbus::Connection;

use crate::args::StatusArguments;
use crate::clock;
use crate::failure::Failure;
use crate::output::Output;
use crate::selection;

/// How long the service may take to tell its state: what a D-Bus call may take by convention.
const READ_TIMEOUT: Duration = Duration::from_secs(25);

/// Shows the state, or what is selected of it.
pub async fn run(
    connection: &Connection,
    request: &StatusArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let state = read_state(connection).await?;
    let state = selection::restrict(state, &request.selected)?;
    let configurations = in_time(Configurations::read(connection, &state)).await?;
    let now = clock::since_boot();
    if output.is_json() {
        return output.json(&json::Status::new(&state, &configurations, now));
    }
    let text = tree::render(&state, &configurations, now, output.paint());
    output.text(&text)
}

/// Reads the state of a service that answers.
pub async fn read_state(connection: &Connection) -> Result<State, Failure> {
    in_time(async { Ok(State::read(connection).await?) }).await
}

async fn in_time<T>(answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let silent = |_| Failure::Silent(READ_TIMEOUT.as_secs());
    tokio::time::timeout(READ_TIMEOUT, answer).await.map_err(silent)?
}
