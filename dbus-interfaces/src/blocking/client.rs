//! One thing done at a time.

use std::os::fd::AsFd;

use tokio::runtime::Runtime;
use zbus::{Connection, ObjectPath};

use super::subscriber::thread_error;
use crate::bus::{BusChoice, connect};
use crate::error::Result;
use crate::happy_eyeballs::{self, Options, Raced};
use crate::proxy::ManagerProxy;
use crate::request::{
    self, BindRequest, Binding, ConnectRequest, ConnectedSocket, TranslateOptions, Translation,
};
use crate::state::State;

/// A connection to the bus for calls that wait for their results.
///
/// ```no_run
/// # fn main() -> Result<(), mif::Error> {
/// let client = mif::blocking::Client::open(&mif::BusChoice::System)?;
/// for pvd in client.state()?.pvds() {
///     let answer = client.translate_name(&pvd.path, "www.example.org", &Default::default());
///     eprintln!("{}: {answer:?}", pvd.id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    // Before the runtime, which it needs to end.
    connection: Connection,
    runtime: Runtime,
}

impl Client {
    /// Connects to the bus. It tells nothing about whether the service is there.
    ///
    /// # Errors
    /// [`crate::Error::BusUnreachable`].
    pub fn open(bus: &BusChoice) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(thread_error)?;
        let connection = runtime.block_on(connect(bus))?;
        Ok(Self { connection, runtime })
    }

    /// What there is now: see [`State::read`].
    ///
    /// # Errors
    /// As there.
    pub fn state(&self) -> Result<State> {
        self.runtime.block_on(State::read(&self.connection))
    }

    /// What the running service can do (Manager.Features).
    ///
    /// # Errors
    /// [`crate::Error::Reply`].
    pub fn features(&self) -> Result<Vec<String>> {
        let features = async { Ok(ManagerProxy::new(&self.connection).await?.features().await?) };
        self.runtime.block_on(features)
    }

    /// Translates a name in a PvD: see [`request::translate_name`].
    ///
    /// # Errors
    /// As there.
    pub fn translate_name(
        &self,
        pvd: &ObjectPath<'_>,
        name: &str,
        options: &TranslateOptions,
    ) -> Result<Translation> {
        self.runtime.block_on(request::translate_name(&self.connection, pvd, name, options))
    }

    /// Makes a connection in a PvD: see [`request::connect_to_address`].
    ///
    /// # Errors
    /// As there.
    pub fn connect_to_address(
        &self,
        pvd: &ObjectPath<'_>,
        request: &ConnectRequest,
    ) -> Result<ConnectedSocket> {
        self.runtime.block_on(request::connect_to_address(&self.connection, pvd, request))
    }

    /// Binds the program's own socket to a PvD: see [`request::bind_socket`].
    ///
    /// # Errors
    /// As there.
    pub fn bind_socket(
        &self,
        pvd: &ObjectPath<'_>,
        socket: &impl AsFd,
        request: &BindRequest,
    ) -> Result<Binding> {
        self.runtime.block_on(request::bind_socket(&self.connection, pvd, socket, request))
    }

    /// Connects to a name over all PvDs, or those that the policy names: see [`happy_eyeballs::connect`].
    ///
    /// # Errors
    /// As there.
    pub fn connect_to_name(&self, name: &str, port: u16, options: &Options) -> Result<Raced> {
        self.runtime.block_on(happy_eyeballs::connect(&self.connection, name, port, options))
    }
}
