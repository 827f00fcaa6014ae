//! polkit, asked whether a client may connect. Nothing it says is kept: each request is asked about anew, for rules
//! may look at its details and may change at any time.

use super::Purpose;
use crate::bus::call::Call;
use crate::bus::error::{BusError, Name};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use zbus::Connection;
use zbus::proxy::CacheProperties;
use zbus_polkit::policykit1::{AuthorityProxy, AuthorizationResult, CheckAuthorizationFlags, Subject};

/// The action that guards ConnectToAddress, ConnectToName and BindSocket.
const ACTION: &str = "org.ietf.Mif1.connect";
const SERVICE: &str = "org.freedesktop.PolicyKit1";
/// How long polkit may think when nobody is prompted.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a person may take to answer a prompt.
const PROMPT: Duration = Duration::from_secs(300);

/// polkit's authority on the bus that is served.
#[derive(Clone, Debug)]
pub struct Polkit {
    authority: AuthorityProxy<'static>,
}

/// Who has agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// The rules, without anybody being asked.
    Rule,
    /// A person, at a prompt.
    Person,
}

impl Polkit {
    /// polkit on `bus`; `None` when it neither runs nor can be started there.
    ///
    /// # Errors
    /// The bus does not tell.
    pub(super) async fn on(bus: &Connection) -> zbus::Result<Option<Self>> {
        if !is_owned(bus).await? && !is_activatable(bus).await? {
            return Ok(None);
        }
        // Cached properties would need a stream of signals that somebody reads.
        let authority = AuthorityProxy::builder(bus).cache_properties(CacheProperties::No).build().await?;
        Ok(Some(Self { authority }))
    }

    /// Asks whether the caller, of user `uid`, may have a socket for `purpose`. The caller is prompted only when
    /// its call allows that, and by one prompt at a time: `prompts` has one place.
    ///
    /// # Errors
    /// It may not, or polkit cannot tell.
    pub(super) async fn check(
        &self,
        call: &Call,
        uid: u32,
        prompts: &Semaphore,
        purpose: &Purpose,
    ) -> Result<Consent, BusError> {
        let mut answer = self.ask_rules(call, uid, purpose).await?;
        let mut consent = Consent::Rule;
        if !answer.is_authorized && answer.is_challenge && call.allows_prompt() {
            // Never closed.
            let _turn = prompts.acquire().await;
            let prompt = Prompt::new(self);
            let answered = tokio::time::timeout(PROMPT, self.ask(call, purpose, Some(&prompt))).await;
            // Without an answer in time, dropping the prompt takes the question back.
            answer = answered.map_err(|_| silent(uid, PROMPT))?.map_err(|error| failed(uid, &error))?;
            prompt.forget();
            consent = Consent::Person;
        }
        decide(uid, &answer).map(|()| consent)
    }

    /// Asks about a part of what was agreed to already. Nobody is prompted.
    ///
    /// # Errors
    /// This part is refused; or it needs a person, and none has agreed to the whole; or polkit cannot tell.
    pub(super) async fn check_again(
        &self,
        call: &Call,
        uid: u32,
        consent: Consent,
        purpose: &Purpose,
    ) -> Result<(), BusError> {
        let answer = self.ask_rules(call, uid, purpose).await?;
        if answer.is_challenge && consent == Consent::Person {
            return Ok(());
        }
        decide(uid, &answer)
    }

    async fn ask_rules(
        &self,
        call: &Call,
        uid: u32,
        purpose: &Purpose,
    ) -> Result<AuthorizationResult, BusError> {
        let answer = tokio::time::timeout(PATIENCE, self.ask(call, purpose, None)).await;
        answer.map_err(|_| silent(uid, PATIENCE))?.map_err(|error| failed(uid, &error))
    }

    async fn ask(
        &self,
        call: &Call,
        purpose: &Purpose,
        prompt: Option<&Prompt>,
    ) -> Result<AuthorizationResult, AskError> {
        let subject = Subject::new_for_message_header(&call.header())?;
        let details = details(purpose);
        let details = details.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let (flags, cancellation) = match prompt {
            Some(prompt) => (CheckAuthorizationFlags::ALLOW_USER_INTERACTION, prompt.id.as_str()),
            None => (CheckAuthorizationFlags::empty(), ""),
        };
        let answer = self.authority.check_authorization(&subject, ACTION, &details, flags, cancellation);
        Ok(answer.await?)
    }
}

/// Why polkit could not be asked.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Subject(#[from] zbus_polkit::Error),
    #[error(transparent)]
    Bus(#[from] zbus::Error),
}

/// A prompt that is open; taken back when dropped before its answer.
struct Prompt {
    authority: Option<AuthorityProxy<'static>>,
    id: String,
}

impl Prompt {
    fn new(polkit: &Polkit) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let id = format!("mifd-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Self { authority: Some(polkit.authority.clone()), id }
    }

    /// It was answered: there is nothing to take back.
    fn forget(mut self) {
        self.authority = None;
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        let Some(authority) = self.authority.take() else { return };
        let id = std::mem::take(&mut self.id);
        tokio::spawn(async move {
            if let Err(error) = authority.cancel_check_authorization(&id).await {
                tracing::debug!(%error, "polkit did not take a question back");
            }
        });
    }
}

/// What rules see in `action.lookup(...)`.
fn details(purpose: &Purpose) -> Vec<(&'static str, String)> {
    // The action's own message speaks of one provisioning domain.
    let message = match (&purpose.pvd, &purpose.name) {
        (None, Some(name)) => Some(format!("Authentication is required to connect to {name} in any network")),
        _ => None,
    };
    let optional = [
        ("pvd", purpose.pvd.clone()),
        ("name", purpose.name.clone()),
        ("polkit.message", message),
        ("address", purpose.address.map(|address| address.to_string())),
        ("port", purpose.port.map(|port| port.to_string())),
        ("source", purpose.source.map(|source| source.to_string())),
    ];
    optional.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn decide(uid: u32, answer: &AuthorizationResult) -> Result<(), BusError> {
    if answer.is_authorized {
        return Ok(());
    }
    if answer.is_challenge {
        return Err(BusError::new(
            Name::InteractiveAuthorizationRequired,
            format!(
                "user {uid} may not connect through this service before an administrator agrees ({ACTION}): allow \
                 interactive authorisation in the call, run an authentication agent, or add a polkit rule"
            ),
        ));
    }
    let why = if answer.details.contains_key("polkit.dismissed") {
        "the prompt was dismissed"
    } else {
        "polkit refuses it; its rules can allow it"
    };
    let message = format!("user {uid} may not connect through this service ({ACTION}): {why}");
    Err(BusError::new(Name::AccessDenied, message))
}

fn silent(uid: u32, waited: Duration) -> BusError {
    let seconds = waited.as_secs();
    tracing::warn!(uid, seconds, "polkit does not answer: refused");
    cannot_tell(uid, &format!("polkit did not answer in {seconds} s"))
}

fn failed(uid: u32, error: &AskError) -> BusError {
    tracing::warn!(uid, %error, "polkit cannot be asked: refused");
    cannot_tell(uid, "polkit cannot be asked; the log of this service says why")
}

fn cannot_tell(uid: u32, why: &str) -> BusError {
    let message = format!("user {uid} may not connect through this service ({ACTION}): {why}");
    BusError::new(Name::AccessDenied, message)
}

async fn is_owned(bus: &Connection) -> zbus::Result<bool> {
    ask_bus(bus, "NameHasOwner", &SERVICE).await?.body().deserialize()
}

async fn is_activatable(bus: &Connection) -> zbus::Result<bool> {
    let names: Vec<String> = ask_bus(bus, "ListActivatableNames", &()).await?.body().deserialize()?;
    Ok(names.iter().any(|name| name == SERVICE))
}

async fn ask_bus<B>(bus: &Connection, method: &str, body: &B) -> zbus::Result<zbus::Message>
where
    B: serde::Serialize + zbus::DynamicType,
{
    const BUS: &str = "org.freedesktop.DBus";
    bus.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), method, body).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn answer(is_authorized: bool, is_challenge: bool, details: &[&str]) -> AuthorizationResult {
        let details = details.iter().map(|key| ((*key).to_owned(), "true".to_owned())).collect();
        AuthorizationResult { is_authorized, is_challenge, details }
    }

    #[test]
    fn only_yes_is_yes() {
        assert!(decide(7, &answer(true, false, &[])).is_ok());
        let refusal = |answer| decide(7, &answer).unwrap_err();
        assert_eq!(refusal(answer(false, false, &[])).name, Name::AccessDenied);
        assert_eq!(refusal(answer(false, true, &[])).name, Name::InteractiveAuthorizationRequired);
        let dismissed = refusal(answer(false, false, &["polkit.dismissed"]));
        assert!(dismissed.name == Name::AccessDenied && dismissed.message.contains("dismissed"));
        assert!(dismissed.message.contains("user 7"));
    }

    #[test]
    fn rules_see_what_is_named() {
        let pvd = Some("implicit:eth0:ipv4".to_owned());
        let mut purpose = Purpose { pvd, ..Purpose::default() };
        assert_eq!(details(&purpose), [("pvd", "implicit:eth0:ipv4".to_owned())]);
        purpose.address = Some([192, 0, 2, 1].into());
        purpose.port = Some(80);
        purpose.source = Some([192, 0, 2, 9].into());
        let keys: HashMap<_, _> = details(&purpose).into_iter().collect();
        assert_eq!(keys["address"], "192.0.2.1");
        assert_eq!((keys["port"].as_str(), keys["source"].as_str()), ("80", "192.0.2.9"));
        // By name: in any provisioning domain, then in one.
        let name = Some("www.example.org".to_owned());
        let mut purpose = Purpose { name, port: Some(443), ..Purpose::default() };
        let keys: Vec<&str> = details(&purpose).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["name", "polkit.message", "port"]);
        purpose.pvd = Some("home.example".to_owned());
        assert_eq!(details(&purpose)[0], ("pvd", "home.example".to_owned()));
        assert!(details(&purpose).iter().all(|(key, _)| *key != "polkit.message"));
    }
}
