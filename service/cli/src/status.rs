//! `mifctl status`: interfaces and provisioning domains as they are now.

mod json;
#[cfg(test)]
pub mod samples;
mod tree;

use std::time::Duration;

use mif::State;
use zbus::Connection;

use crate::clock;
use crate::failure::Failure;
use crate::output::Output;

/// How long the service may take to tell its state: what a D-Bus call may take by convention.
const READ_TIMEOUT: Duration = Duration::from_secs(25);

/// Shows the state.
pub async fn run(connection: &Connection, output: &mut Output) -> Result<(), Failure> {
    let state = read_state(connection).await?;
    let now = clock::since_boot();
    if output.is_json() {
        return output.json(&json::Status::new(&state, now));
    }
    let text = tree::render(&state, now, output.paint());
    output.text(&text)
}

/// Reads the state of a service that answers.
pub async fn read_state(connection: &Connection) -> Result<State, Failure> {
    match tokio::time::timeout(READ_TIMEOUT, State::read(connection)).await {
        Ok(state) => Ok(state?),
        Err(_) => Err(Failure::Silent(READ_TIMEOUT.as_secs())),
    }
}
