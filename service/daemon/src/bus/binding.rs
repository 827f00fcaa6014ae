//! BindSocket: decoded, checked, and handed to a thread that may wait for its caller.

use super::Bus;
use super::authority::Purpose;
use super::call::Call;
use super::error::{BusError, Name};
use super::lent::LentSocket;
use super::requests::Origin;
use super::state_face::{GivenOptions, options, parse_address};
use super::work::{Owner, Progress, What};
use crate::request::bind::{Binding, Mark, bind};
use mif_core::plan::BindRequest;
use mif_core::pvd::Serial;
use mif_core::subscription::WorkNumber;
use mif_core::usage::Held;
use tokio::sync::mpsc;
use zbus::OwnedFd;

/// BindSocket's arguments.
pub(super) struct Arguments {
    socket: OwnedFd,
    request: BindRequest,
}

impl Arguments {
    /// Those of `call`.
    pub(super) fn of(call: &Call) -> Result<Self, BusError> {
        let (socket, given): (OwnedFd, GivenOptions) = call.arguments("ha{sv}")?;
        let mut options = options(given, &["source", "destination", "local-port"])?;
        let mut address =
            |key: &str| options.text(key)?.map(|address| parse_address(key, &address)).transpose();
        let (source, destination) = (address("source")?, address("destination")?);
        let local_port = options.port("local-port")?.unwrap_or(0);
        Ok(Self { socket, request: BindRequest { source, destination, local_port } })
    }
}

impl Bus {
    /// The reply comes when the socket is bound. Where the caller lives is of no account, but where its socket does.
    pub(super) fn bind_for_call(&mut self, call: Call, pvd: Serial, arguments: Arguments) {
        let Some((call, credentials)) = self.introduced(call) else { return };
        let origin = Origin { client: call.client(), owner: Owner::Call(call.clone()), credentials };
        if let Err(error) = self.start_binding(origin, &call, pvd, arguments) {
            self.answer(&call, Err(error));
        }
    }

    fn start_binding(
        &mut self,
        origin: Origin,
        call: &Call,
        pvd: Serial,
        arguments: Arguments,
    ) -> Result<(), BusError> {
        let Arguments { socket, request } = arguments;
        let (Some(namespace), Some(lent)) = (self.cookie, call.lent()) else {
            return Err(no_namespaces());
        };
        let BindRequest { source, destination, .. } = request;
        let pvd_id = Some(self.id_of(pvd));
        let purpose = Purpose { pvd: pvd_id, address: destination, source, ..Purpose::default() };
        let permission = self.permission(&origin, call, purpose)?;
        let place = self.workload.enter(origin.credentials.uid)?;
        let lent = LentSocket { socket: socket.into(), lent, place };
        let (router, snapshots) = (self.router.clone(), self.snapshots.subscribe());
        let task = move |number, progress: mpsc::Sender<Progress>| async move {
            let held = match permission.obtain().await {
                Ok(()) => router.hold(pvd).await.map_err(BusError::from),
                Err(refused) => Err(refused),
            };
            let mark = match held {
                Ok(mark) => mark.map(|mark| Mark { value: mark.0, mask: router.mask() }),
                Err(refused) => {
                    // The bus task is gone only when the service stops.
                    let _ = progress.send(Progress { number, what: What::Bound(Err(refused)) }).await;
                    return;
                }
            };
            // Of now: while a person thought about it, a source may have come to another provisioning domain.
            let snapshot = snapshots.borrow().clone();
            let binding = Binding { snapshot, pvd, request, namespace, mark };
            let work = move || run(number, &binding, lent, &progress);
            if let Err(error) = tokio::task::spawn_blocking(work).await {
                tracing::error!(%error, "binding a socket of a caller broke off");
            }
        };
        self.start(origin, pvd, Held::Connection, task).map(drop)
    }
}

/// Binds, tells, and only then closes what was lent: all on a thread that nobody waits for.
fn run(number: WorkNumber, binding: &Binding, lent: LentSocket, progress: &mpsc::Sender<Progress>) {
    let LentSocket { socket, lent, place } = lent;
    let bound = bind(binding, &socket).map_err(BusError::from);
    // The bus task is gone only when the service stops.
    let _ = progress.blocking_send(Progress { number, what: What::Bound(bound) });
    // The message keeps a descriptor of its own: this one is never the last.
    drop(socket);
    lent.close();
    drop(place);
}

fn no_namespaces() -> BusError {
    BusError::new(
        Name::NotSupported,
        "this kernel does not tell which network namespace a socket is of, so that sockets of callers cannot be \
         bound (Features lacks bind-socket); use ConnectToAddress",
    )
}
