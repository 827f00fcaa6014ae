//! The service, seen from the window: a thread with a tokio runtime of its own, and two bounded channels.
//!
//! zbus 6 runs on tokio only, GTK on GLib's main loop; so the bus lives in its own thread. Commands go there, events
//! come back. When the window does not keep up the channel of events fills, the thread waits, and what changes
//! meanwhile is read once, as it is by then.

mod attempt;
mod session;
mod value;
mod watch;

use std::thread;

use mif::{BusChoice, State};
use tokio::sync::mpsc;
use tokio::sync::watch as latest;
use zbus::OwnedObjectPath;

use crate::model::attempt::{Progress, Scope, Target};
use crate::model::network::Update;
use crate::model::status_icon::{Action, StatusIcon};
use crate::model::timeline::Entry;

/// Events that wait for the window.
const EVENTS: usize = 256;

/// Commands that wait for the bus.
const COMMANDS: usize = 64;

/// What the window wants.
#[derive(Debug)]
pub enum Command {
    /// This PvD is on display: read all of it, and whenever it changes.
    Show(Option<OwnedObjectPath>),
    /// Read this PvD again: deadlines may be later by now, which nobody announces.
    Refresh(OwnedObjectPath),
    /// Try a name in these PvDs. A try that is under way is given up.
    Try {
        /// Comes back with each event.
        run: u64,
        /// What.
        target: Target,
        /// How.
        scope: Scope,
        /// Where.
        pvds: Vec<OwnedObjectPath>,
    },
    /// Give up what is under way.
    CancelTry,
    /// Connect now rather than later.
    Retry,
    /// What came with the Reset is on the screen: from now on reading keeps nothing of that waiting.
    Drawn,
}

/// What the bus tells.
#[derive(Debug)]
pub enum Event {
    /// How the connection to the service is.
    Link(Link),
    /// Everything anew, and what is known already of the PvD that is shown first.
    Reset(Box<State>, Vec<Update>),
    /// Changes, in order.
    Changed(Vec<Update>),
    /// Announcements, as they came.
    Announced(Vec<Entry>),
    /// Of the try with this number.
    Try(u64, Progress),
    /// Pressed in the menu of the status icon.
    StatusIcon(Action),
}

/// How the connection to the service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Being made.
    Connecting,
    /// Made; a Reset follows.
    Live,
    /// The service does not run. It is waited for.
    NotRunning(String),
    /// The bus or the service lets nobody in.
    Refused(String),
    /// There is no bus. It is tried again.
    NoBus(String),
    /// The service speaks in a way that this version does not understand.
    Incompatible(String),
}

/// The way to the bus thread.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    icons: latest::Sender<Option<StatusIcon>>,
}

impl Client {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(bus: BusChoice) -> std::io::Result<(Self, async_channel::Receiver<Event>)> {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (outbox, events) = async_channel::bounded(EVENTS);
        let (icons, wanted) = latest::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("bus".to_owned()).spawn(move || {
            runtime.block_on(async {
                let icon = tokio::spawn(crate::status_icon::run(wanted, outbox.clone()));
                session::run(bus, inbox, outbox).await;
                icon.abort();
            });
        })?;
        Ok((Self { commands, icons }, events))
    }

    /// What the status icon says from now on; `None` when there is to be none.
    pub fn show_icon(&self, icon: Option<StatusIcon>) {
        self.icons.send_if_modified(|shown| {
            let changed = *shown != icon;
            *shown = icon;
            changed
        });
    }

    /// Sends a command. When the bus does not keep up it is dropped: each is about the moment, and the person
    /// will ask again.
    pub fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }
}
