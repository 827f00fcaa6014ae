//! The scene of most tests: a person at the desktop of a host between two ISPs, with the applet open.

use super::{Desktop, Panel};
use crate::process::Process;
use crate::served_host::ServedHost;
use crate::topology::TwoIsps;
use crate::universe::Universe;

/// All of it; what is dropped is gone.
#[derive(Debug)]
pub struct Session {
    /// The networks.
    pub isps: TwoIsps,
    /// The host with its service.
    pub host: ServedHost,
    /// What the person sees.
    pub desktop: Desktop,
    /// Where icons and notifications are.
    pub panel: Panel,
    /// The applet, which lists four networks.
    pub applet: Process,
}

impl Session {
    /// Starts all of it, the applet with these arguments.
    ///
    /// # Panics
    /// When something of it does not start.
    pub async fn between_two_isps(universe: &Universe, arguments: &[&str]) -> Self {
        let (networks, screen) = tokio::join!(ServedHost::between_two_isps(universe), Self::screen(universe));
        let ((isps, host), (desktop, panel)) = (networks, screen);
        let applet = desktop.applet(arguments, &[]).await;
        desktop.reads(&["IPv4 on eth1 · Ready", "IPv4 on eth2 · Ready"]).await;
        Self { isps, host, desktop, panel, applet }
    }

    async fn screen(universe: &Universe) -> (Desktop, Panel) {
        let desktop = Desktop::start(universe).await;
        (desktop, Panel::start().await)
    }
}
