//! What can go wrong, and what to do then.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use mif::happy_eyeballs::Lost;
use mif::{BusChoice, ErrorKind};

/// Why mifctl ends with another code than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// From the bus or the service.
    #[error(transparent)]
    Service(#[from] mif::Error),
    /// No way led there, and the story of it is wanted.
    #[error("{0}")]
    Lost(Arc<Lost>),
    /// The service owns its name and says nothing.
    #[error("the service did not answer within {0} s")]
    Silent(u64),
    /// It does not run, and systemd could not start it.
    #[error("the service mifd does not start: its unit has failed")]
    UnitFailed,
    /// No PvD like that.
    #[error("there is no provisioning domain {given:?}")]
    NoSuchPvd { given: String, candidates: Vec<String> },
    /// An interface without a PvD that would do.
    #[error("{interface} has no provisioning domain{wanted}")]
    NoPvdThere { interface: String, wanted: &'static str },
    /// More than one.
    #[error("{given:?} is more than one provisioning domain")]
    Ambiguous { given: String, candidates: Vec<String> },
    /// Not one PvD answered; why has been printed.
    #[error("no provisioning domain has an answer for {name:?}")]
    NotTranslated { name: String },
    /// There is nothing to ask.
    #[error("this machine is in no provisioning domain")]
    NoPvds,
    /// The command after `--`.
    #[error("cannot execute {}: {source}", command.display())]
    Execute { command: OsString, source: std::io::Error },
    /// Writing the answer.
    #[error("cannot write: {0}")]
    Output(std::io::Error),
    /// No asynchronous runtime.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
}

impl Failure {
    /// As documented in `mifctl --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Service(mif::Error::BusUnreachable { .. } | mif::Error::Disconnected)
            | Self::Silent(_)
            | Self::UnitFailed => 3,
            Self::Service(error) => match error.kind() {
                Some(
                    ErrorKind::NotRunning
                    | ErrorKind::NameHasNoOwner
                    | ErrorKind::StartFailed
                    | ErrorKind::NoReply,
                ) => 3,
                Some(ErrorKind::NoSuchPvd | ErrorKind::PvdGone | ErrorKind::UnknownObject) => 4,
                Some(
                    ErrorKind::AccessDenied
                    | ErrorKind::NotAuthorized
                    | ErrorKind::InteractiveAuthorizationRequired,
                ) => 5,
                _ => 1,
            },
            Self::Lost(lost) => Self::Service(mif::Error::Lost(Arc::clone(lost))).exit_code(),
            Self::NoSuchPvd { .. } | Self::NoPvdThere { .. } | Self::Ambiguous { .. } => 4,
            Self::Execute { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Execute { .. } => 126,
            Self::NotTranslated { .. } | Self::NoPvds | Self::Output(_) | Self::Runtime(_) => 1,
        }
    }

    /// What has gone wrong, in one line.
    pub fn headline(&self, bus: &BusChoice) -> String {
        match self {
            Self::Service(error) if is_absent(error) => {
                format!("the service mifd is not running: nobody owns {} on {bus}", mif::names::BUS_NAME)
            }
            other => other.to_string(),
        }
    }

    /// What to do next: lines, possibly none.
    pub fn advice(&self, bus: &BusChoice) -> Vec<String> {
        match self {
            Self::Service(mif::Error::BusUnreachable { .. }) => unreachable_bus(bus),
            Self::Service(mif::Error::Disconnected) => {
                vec!["The bus or its connection ended. Is the bus still there? Then try again.".to_owned()]
            }
            Self::Service(error) => service_advice(error.kind(), bus),
            Self::Lost(lost) => lost.story.to_string().lines().map(str::to_owned).collect(),
            Self::UnitFailed => service_advice(Some(ErrorKind::StartFailed), bus),
            Self::Silent(_) => vec!["`systemctl status mifd` or the service's log may say why.".to_owned()],
            Self::NoSuchPvd { candidates, .. } | Self::Ambiguous { candidates, .. } => {
                candidate_lines(self, candidates)
            }
            Self::NoPvdThere { .. } | Self::NoPvds => {
                vec!["`mifctl status` shows what there is; `mifctl monitor` what comes.".to_owned()]
            }
            Self::NotTranslated { .. } | Self::Execute { .. } | Self::Output(_) | Self::Runtime(_) => {
                Vec::new()
            }
        }
    }
}

/// Tells a person on standard error.
pub fn report(failure: &Failure, bus: &BusChoice) {
    let mut stderr = std::io::stderr().lock();
    let mut text = format!("mifctl: {}\n", failure.headline(bus));
    for line in failure.advice(bus) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    // Nobody is left to be told when this fails.
    drop(stderr.write_all(text.as_bytes()));
    drop(stderr.flush());
}

/// Whether the bus says that nobody has the service's name.
fn is_absent(error: &mif::Error) -> bool {
    matches!(error.kind(), Some(ErrorKind::NotRunning | ErrorKind::NameHasNoOwner))
}

/// Whether a person may be asked to authorise something.
pub fn person_present() -> bool {
    std::io::stdin().is_terminal()
}

fn unreachable_bus(bus: &BusChoice) -> Vec<String> {
    let lines: &[&str] = match bus {
        BusChoice::System => &[
            "Is D-Bus running (`systemctl start dbus`)? Another bus is named by --bus ADDRESS, the variable",
            "DBUS_SYSTEM_BUS_ADDRESS, or --session. `cargo xtask run` brings a bus of its own.",
        ],
        BusChoice::Session => &["Is there a session (the variable DBUS_SESSION_BUS_ADDRESS)?"],
        BusChoice::Address(_) => {
            &["Is the address right? It looks like unix:path=/run/dbus/system_bus_socket."]
        }
    };
    lines.iter().map(ToString::to_string).collect()
}

fn service_advice(kind: Option<ErrorKind>, bus: &BusChoice) -> Vec<String> {
    let Some(kind) = kind else { return Vec::new() };
    let line = match kind {
        ErrorKind::NotRunning | ErrorKind::NameHasNoOwner => match bus {
            BusChoice::System => {
                "Start it: `systemctl start mifd`, or in its source tree `cargo xtask run`.".to_owned()
            }
            BusChoice::Session => "Start it: `mifd --session`.".to_owned(),
            BusChoice::Address(address) => format!("Start it there: `mifd --bus {address}`."),
        },
        ErrorKind::StartFailed => "`systemctl status mifd` and `journalctl -u mifd` say why.".to_owned(),
        ErrorKind::NoReply => "It may have been stopped meanwhile: `systemctl status mifd`.".to_owned(),
        ErrorKind::AccessDenied | ErrorKind::NotAuthorized => {
            "Connecting is for root, the group mif, and whom polkit allows org.ietf.Mif1.connect.".to_owned()
        }
        ErrorKind::InteractiveAuthorizationRequired => {
            "Call it from a terminal in your session, or as root.".to_owned()
        }
        ErrorKind::ForeignNamespace => {
            "Call mifctl in the network namespace of the service (`nsenter -t $(pidof mifd) -n mifctl ...`)."
                .to_owned()
        }
        ErrorKind::NoSuchPvd | ErrorKind::PvdGone | ErrorKind::UnknownObject => {
            "It may just have gone: `mifctl status` shows what there is.".to_owned()
        }
        ErrorKind::SourceNotValid => "`mifctl status` shows the addresses of each PvD.".to_owned(),
        ErrorKind::LimitsExceeded => "Wait for other requests to end, then try again.".to_owned(),
        _ => return Vec::new(),
    };
    vec![line]
}

fn candidate_lines(failure: &Failure, candidates: &[String]) -> Vec<String> {
    let heading = match failure {
        Failure::Ambiguous { .. } => "Say which:",
        _ if candidates.is_empty() => "There is none at all now: `mifctl monitor` shows when one comes.",
        _ => "Try one of (`mifctl status` shows all):",
    };
    std::iter::once(heading.to_owned()).chain(candidates.iter().map(|line| format!("  {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(name: &str) -> Failure {
        Failure::Service(mif::Error::from_name(name, "x"))
    }

    #[test]
    fn exit_codes_are_those_of_the_help() {
        let cases = [
            (reply("org.freedesktop.DBus.Error.ServiceUnknown"), 3),
            (reply("org.freedesktop.DBus.Error.NameHasNoOwner"), 3),
            (Failure::Service(mif::Error::Disconnected), 3),
            (reply("org.ietf.Mif1.Error.NameNotFound"), 1),
            (reply("org.ietf.Mif1.Error.NoSuchPvd"), 4),
            (reply("org.freedesktop.DBus.Error.AccessDenied"), 5),
            (Failure::NotTranslated { name: "x".into() }, 1),
            (Failure::Execute { command: "x".into(), source: std::io::ErrorKind::NotFound.into() }, 127),
        ];
        for (failure, code) in cases {
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
    }

    #[test]
    fn a_service_that_is_not_there_is_told_how_to_start_on_that_bus() {
        let failure = reply("org.freedesktop.DBus.Error.ServiceUnknown");
        assert!(failure.advice(&BusChoice::System)[0].contains("systemctl start mifd"));
        assert!(failure.advice(&BusChoice::Session)[0].contains("mifd --session"));
        let other = failure.advice(&BusChoice::Address("unix:path=/b".into()));
        assert!(other[0].contains("mifd --bus unix:path=/b"), "{other:?}");
        assert_eq!(
            failure.headline(&BusChoice::System),
            "the service mifd is not running: nobody owns org.ietf.Mif1 on the system bus"
        );
    }

    #[test]
    fn candidates_are_listed() {
        let failure = Failure::Ambiguous { given: "eth0".into(), candidates: vec!["a".into(), "b".into()] };
        assert_eq!(failure.advice(&BusChoice::System), ["Say which:", "  a", "  b"]);
    }
}
