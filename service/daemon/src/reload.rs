//! SIGHUP: the configuration file is read again. What is wrong in it leaves the former one in force.

use crate::config::{Config, LogLevel};
use crate::supervisor::Supervisor;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Changes how much is logged.
pub type SetLogLevel = Box<dyn Fn(LogLevel) + Send>;

/// The configuration in force, and where it comes from.
pub struct Configuration {
    /// The file, when the command line names one.
    pub path: Option<PathBuf>,
    /// What it said last.
    pub config: Config,
    /// Changes how much is logged; `None` when the command line says how much.
    pub set_log_level: Option<SetLogLevel>,
}

/// Reads the configuration again on each SIGHUP.
pub struct Reloader {
    configuration: Configuration,
    hangups: Signal,
    supervisor: Supervisor,
    grace: watch::Sender<Duration>,
}

impl Reloader {
    /// Listens for SIGHUP from now on; whoever has the other end learns of a new grace.
    ///
    /// # Errors
    /// Signals cannot be listened for.
    pub fn new(
        configuration: Configuration,
        supervisor: Supervisor,
    ) -> std::io::Result<(Self, watch::Receiver<Duration>)> {
        let (grace, changes) = watch::channel(configuration.config.interfaces.grace());
        let hangups = signal(SignalKind::hangup())?;
        Ok((Self { configuration, hangups, supervisor, grace }, changes))
    }

    /// Does so for ever.
    pub async fn run(mut self) {
        while self.hangups.recv().await.is_some() {
            self.supervisor.reloading();
            let path = self.configuration.path.clone();
            let read = tokio::task::spawn_blocking(move || Config::load(path.as_deref())).await;
            let mistake = match read {
                Ok(Ok(config)) => {
                    self.put_in_force(config);
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            match &mistake {
                None => {
                    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
                    tracing::info!("the configuration was read again");
                    tracing::debug!(tasks, "tasks of this process now");
                }
                Some(mistake) => tracing::error!("the configuration stays as it was: {mistake}"),
            }
            self.supervisor.reloaded(mistake.as_deref());
        }
        // No more signals can come: nothing to do, and no reason to end the service.
        std::future::pending().await
    }

    fn put_in_force(&mut self, config: Config) {
        let former = std::mem::replace(&mut self.configuration.config, config.clone());
        if let Some(set_log_level) = &self.configuration.set_log_level {
            set_log_level(config.log);
        }
        self.grace.send_replace(config.interfaces.grace());
        let rest = Config { log: former.log, interfaces: former.interfaces, ..config };
        if rest != former {
            tracing::warn!("what else changed in the configuration takes effect at the next start");
        }
    }
}
