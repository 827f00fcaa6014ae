//! ConnectToName: decoded, checked, and handed to a race over the provisioning domains.

use super::Bus;
use super::authority::{Grant, Permission, Purpose};
use super::call::Call;
use super::dispatch::unknown_method;
use super::error::{BusError, Name};
use super::properties::HIGH_LEVEL;
use super::requests::{Origin, bad_word};
use super::state_face::{GivenOptions, options};
use super::text::Text;
use super::work::{Owner, Progress, What};
use crate::request::race::{Gate, Lost, StepError, Track};
use mif_core::plan::{self, Families, NAME_LENGTH, Protocol, RaceRequest};
use mif_core::race::{Defeat, Happening, Policy, Reserve, Selector, Story};
use mif_core::usage::Held;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How many selectors one option may have.
const SELECTORS: usize = 64;
const RESERVES: [(&str, Reserve); 3] =
    [("last", Reserve::Last), ("never", Reserve::Never), ("equal", Reserve::Equal)];

/// ConnectToName's arguments as a request.
fn race_request(name: Text, port: u16, given: GivenOptions) -> Result<RaceRequest, BusError> {
    let known = ["require", "prefer", "avoid", "captive", "no-internet", "family", "timeout", "protocol"];
    let mut options = options(given, &known)?;
    let mut selectors = |key: &str| -> Result<Vec<Selector>, BusError> {
        let texts = options.texts(key)?.unwrap_or_default();
        if texts.len() > SELECTORS {
            let count = texts.len();
            return Err(BusError::invalid(format!(
                "option \"{key}\" has {count} entries, not at most {SELECTORS}"
            )));
        }
        texts.iter().map(|text| selector(key, text)).collect()
    };
    let (require, prefer, avoid) = (selectors("require")?, selectors("prefer")?, selectors("avoid")?);
    let mut word = |key: &str| options.text(key);
    let (captive, no_internet) =
        (reserve("captive", word("captive")?)?, reserve("no-internet", word("no-internet")?)?);
    let families = match word("family")? {
        None => Families::Any,
        Some(word) => Families::from_word(&word)
            .ok_or_else(|| bad_word("family", &word, &Families::ALL.map(Families::word)))?,
    };
    let protocol = match word("protocol")? {
        None => Protocol::Tcp,
        Some(word) => Protocol::from_word(&word)
            .ok_or_else(|| bad_word("protocol", &word, &Protocol::ALL.map(Protocol::word)))?,
    };
    let timeout_ms = options.number("timeout")?.unwrap_or(plan::CONNECT_TIMEOUT_MS);
    let policy = Policy { require, prefer, avoid, captive, no_internet };
    Ok(RaceRequest { name: name.into(), port, families, policy, timeout_ms, protocol })
}

fn selector(key: &str, text: &str) -> Result<Selector, BusError> {
    if text.len() > NAME_LENGTH {
        let (bytes, most) = (text.len(), NAME_LENGTH);
        let message = format!("an entry of option \"{key}\" has {bytes} bytes, not at most {most}");
        return Err(BusError::new(Name::LimitsExceeded, message));
    }
    text.parse().map_err(|error| BusError::invalid(format!("option \"{key}\": {error}")))
}

fn reserve(key: &str, word: Option<String>) -> Result<Reserve, BusError> {
    let Some(word) = word else { return Ok(Reserve::default()) };
    let known = RESERVES.into_iter().find(|(name, _)| *name == word);
    known.map(|(_, reserve)| reserve).ok_or_else(|| bad_word(key, &word, &RESERVES.map(|(name, _)| name)))
}

impl Bus {
    pub(super) fn is_high_level_method(member: &str) -> bool {
        member == "ConnectToName"
    }

    pub(super) fn call_high_level(&mut self, call: Call, member: &str) {
        if !Self::is_high_level_method(member) {
            return self.answer(&call, Err(unknown_method(HIGH_LEVEL, member)));
        }
        let request =
            call.arguments("sqa{sv}").and_then(|(name, port, given)| race_request(name, port, given));
        match request {
            Ok(request) => self.race_for_call(call, request),
            Err(error) => self.answer(&call, Err(error)),
        }
    }

    /// The reply comes when connected.
    fn race_for_call(&mut self, call: Call, request: RaceRequest) {
        // Nobody would get the socket: nothing is attempted.
        if !call.wants_reply() {
            return;
        }
        let Some((call, credentials)) = self.introduced(call) else { return };
        let origin = Origin { client: call.client(), owner: Owner::Call(call.clone()), credentials };
        let begun = self.may_race(&origin, &call, &request);
        if let Err(error) = begun.and_then(|permission| self.start_race(origin, request, permission)) {
            self.answer(&call, Err(error));
        }
    }

    /// Whether a client may have names connected to, as far as that can be told now.
    fn may_race(&self, origin: &Origin, call: &Call, request: &RaceRequest) -> Result<Permission, BusError> {
        let name = request.check()?;
        self.may_translate(origin)?;
        let purpose = Purpose { name: Some(name), port: Some(request.port), ..Purpose::default() };
        self.permission(origin, call, purpose)
    }

    fn start_race(
        &mut self,
        origin: Origin,
        request: RaceRequest,
        permission: Permission,
    ) -> Result<(), BusError> {
        let owner_uid = origin.credentials.uid;
        let snapshots = self.snapshots.subscribe();
        let translator = std::sync::Arc::clone(&self.translator);
        let router = self.router.clone();
        let places = self.places.of(owner_uid);
        self.start(origin, None, Held::Connection, move |number, progress| async move {
            // The time begins after this.
            let raced = match permission.obtain_for_many().await {
                Ok(gate) => {
                    let name = request.name.clone();
                    let track = Track { request, owner_uid, snapshots, translator, router, gate, places };
                    track.run().await.map_err(|lost| lost_race(&name, lost))
                }
                Err(refused) => Err(refused),
            };
            let what = What::Raced(raced.map(Box::new));
            // The bus task is gone only when the service stops.
            let _ = progress.send(Progress { number, what }).await;
        })
        .map(drop)
    }
}

impl Gate for Grant {
    type Denial = BusError;

    async fn admit(&self, pvd: &str, address: IpAddr) -> Result<(), BusError> {
        self.check(pvd, address).await
    }
}

/// Why a race was lost: the error of the step to speak of, under its own name.
fn lost_race(name: &str, lost: Lost<BusError>) -> BusError {
    let name = super::error::shown(name);
    let told = |error: StepError<BusError>, what: &str| {
        let error = BusError::from(error);
        BusError { message: format!("{what} {name}: {}", error.message), ..error }
    };
    match lost.defeat {
        Defeat::NoDomain => {
            let why = exclusions(&lost.story);
            BusError::new(
                Name::NetworkUnreachable,
                format!("no provisioning domain can be used to connect to {name}: {why}"),
            )
        }
        Defeat::NoAddress(error) => told(error, "no provisioning domain has an address for"),
        Defeat::NotConnected(error) => told(error, "cannot connect to"),
        Defeat::TimedOut => {
            BusError::new(Name::TimedOut, format!("cannot connect to {name}: the time is up"))
        }
    }
}

/// Why provisioning domains do not take part, and how many for each reason.
fn exclusions(story: &Story) -> String {
    let mut reasons = BTreeMap::<String, usize>::new();
    for event in &story.events {
        if let Happening::LeftOut { why, .. } = event.what {
            *reasons.entry(why.to_string()).or_default() += 1;
        }
    }
    if reasons.is_empty() {
        return "there is none".to_owned();
    }
    let reasons = reasons.iter().map(|(why, count)| format!("{why} ({count} left out)"));
    reasons.collect::<Vec<_>>().join("; ")
}

impl From<StepError<BusError>> for BusError {
    fn from(error: StepError<BusError>) -> Self {
        match error {
            StepError::Refused(refusal) => refusal.into(),
            StepError::Translation(failure) => failure.into(),
            StepError::Connect(failure) => failure.into(),
            StepError::Routing(error) => error.into(),
            StepError::Denied(error) => error,
        }
    }
}
