//! The connection to the system bus over which managers are heard and asked.
//!
//! Messages that come in are taken out of their queue also while an answer is awaited: zbus reads no further when a
//! queue is full, and then the answer would never come.

use super::dirt::News;
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zbus::message::{Header, Type};
use zbus::{Connection, DynamicType, Message, MessageStream};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// How long a manager may take to answer. One that is slower is read when it signals again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the bus may take to let somebody in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    NetworkManager,
    Networkd,
    Resolved,
}

impl Service {
    const ALL: [Self; 3] = [Self::NetworkManager, Self::Networkd, Self::Resolved];

    /// Its name on the bus.
    const fn name(self) -> &'static str {
        match self {
            Self::NetworkManager => "org.freedesktop.NetworkManager",
            Self::Networkd => "org.freedesktop.network1",
            Self::Resolved => "org.freedesktop.resolve1",
        }
    }

    /// The interfaces whose properties are followed.
    const fn followed(self) -> &'static [&'static str] {
        match self {
            Self::NetworkManager => &[
                "org.freedesktop.NetworkManager",
                "org.freedesktop.NetworkManager.Device",
                "org.freedesktop.NetworkManager.IP4Config",
                "org.freedesktop.NetworkManager.IP6Config",
                "org.freedesktop.NetworkManager.DHCP4Config",
                "org.freedesktop.NetworkManager.DHCP6Config",
            ],
            // What is read of it is signalled by nothing but its files.
            Self::Networkd => &[],
            Self::Resolved => &["org.freedesktop.resolve1.Manager"],
        }
    }
}

/// Nothing is heard of managers any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusLost {
    #[error("the system bus cannot be reached")]
    Connect(#[source] zbus::Error),
    #[error("the system bus does not answer")]
    Timeout,
    #[error("the connection to the system bus broke")]
    Broken,
}

/// Why there is no answer of a manager. What it said before holds until it says something else.
#[derive(Debug)]
pub(super) enum Unheard {
    /// Nothing is heard of any manager.
    Bus(BusLost),
    /// It has left while it was asked, or is too busy to answer. There are news when it is back.
    Manager,
}

impl From<BusLost> for Unheard {
    fn from(lost: BusLost) -> Self {
        Self::Bus(lost)
    }
}

/// What came of a call.
enum Answer {
    Reply(Message),
    Refused,
    Nothing,
}

/// The connection, and what was heard over it and not read yet.
pub(super) struct SystemBus {
    connection: Connection,
    incoming: MessageStream,
    /// The unique name of each manager that is there.
    owners: BTreeMap<Service, String>,
    /// Those that owe an answer: when they say anything, all of them is read anew.
    silent: BTreeSet<Service>,
    news: News,
}

impl SystemBus {
    /// Connects, and finds out who is there.
    pub(super) async fn connect() -> Result<Self, BusLost> {
        let built = zbus::connection::Builder::system().build();
        let built = tokio::time::timeout(CONNECT_TIMEOUT, built).await.map_err(|_| BusLost::Timeout)?;
        let connection = built.map_err(BusLost::Connect)?;
        let incoming = MessageStream::from(&connection);
        let mut bus = Self {
            connection,
            incoming,
            owners: BTreeMap::new(),
            silent: BTreeSet::new(),
            news: News::everything(),
        };
        for service in Service::ALL {
            for rule in match_rules(service) {
                bus.ask_bus("AddMatch", &rule).await?;
            }
            if let Some(owner) = bus.ask_bus("GetNameOwner", service.name()).await?
                && let Ok(owner) = owner.body().deserialize::<String>()
            {
                bus.owners.insert(service, owner);
            }
        }
        Ok(bus)
    }

    /// Whether there is something to read.
    pub(super) fn has_news(&self) -> bool {
        self.news.any()
    }

    /// What there is to read.
    pub(super) fn news(&mut self) -> &mut News {
        &mut self.news
    }

    /// Notes that a manager owes an answer: all of it is read anew when it says anything.
    pub(super) fn note_silence(&mut self, service: Service) {
        self.silent.insert(service);
    }

    /// Whether a manager is there.
    pub(super) fn is_there(&self, service: Service) -> bool {
        self.owners.contains_key(&service)
    }

    /// Waits for one message and notes what is new. Cancel safe.
    pub(super) async fn hear(&mut self) -> Result<(), BusLost> {
        match self.incoming.next().await {
            Some(Ok(message)) => {
                self.note(&message);
                Ok(())
            }
            Some(Err(_)) | None => Err(BusLost::Broken),
        }
    }

    /// All properties of one interface of an object; `None` when it has none.
    pub(super) async fn properties(
        &mut self,
        service: Service,
        path: &str,
        interface: &str,
    ) -> Result<Option<Message>, Unheard> {
        self.ask(service, path, (PROPERTIES, "GetAll"), &interface).await
    }

    /// One property; `None` when there is none.
    pub(super) async fn property(
        &mut self,
        service: Service,
        path: &str,
        property: (&str, &str),
    ) -> Result<Option<Message>, Unheard> {
        self.ask(service, path, (PROPERTIES, "Get"), &property).await
    }

    /// The answer of a manager to a call of interface and method; `None` when it refuses, as it does for what is gone.
    /// It is asked by its unique name, so that nothing starts because of it.
    pub(super) async fn ask<B>(
        &mut self,
        service: Service,
        path: &str,
        call: (&str, &str),
        body: &B,
    ) -> Result<Option<Message>, Unheard>
    where
        B: serde::Serialize + DynamicType,
    {
        let Some(owner) = self.owners.get(&service).cloned() else { return Err(Unheard::Manager) };
        match self.call(&owner, path, call, body).await? {
            Answer::Reply(reply) => Ok(Some(reply)),
            Answer::Refused => Ok(None),
            Answer::Nothing => {
                self.note_silence(service);
                Err(Unheard::Manager)
            }
        }
    }

    async fn ask_bus(&mut self, method: &str, text: &str) -> Result<Option<Message>, BusLost> {
        let answer = self.call(BUS, BUS_PATH, (BUS, method), &text).await?;
        Ok(if let Answer::Reply(reply) = answer { Some(reply) } else { None })
    }

    async fn call<B>(
        &mut self,
        destination: &str,
        path: &str,
        (interface, method): (&str, &str),
        body: &B,
    ) -> Result<Answer, BusLost>
    where
        B: serde::Serialize + DynamicType,
    {
        let connection = self.connection.clone();
        let call = connection.call_method(Some(destination), path, Some(interface), method, body);
        let call = tokio::time::timeout(ANSWER_TIMEOUT, call);
        tokio::pin!(call);
        loop {
            tokio::select! {
                answer = &mut call => return match answer {
                    Ok(Ok(reply)) => Ok(Answer::Reply(reply)),
                    Ok(Err(error)) => {
                        tracing::debug!(destination, path, method, %error, "a manager refused, or is not there");
                        of_error(&error)
                    }
                    Err(_) => {
                        tracing::debug!(destination, path, method, "a manager does not answer");
                        Ok(Answer::Nothing)
                    }
                },
                heard = self.incoming.next() => match heard {
                    Some(Ok(message)) => self.note(&message),
                    Some(Err(_)) | None => return Err(BusLost::Broken),
                },
            }
        }
    }

    fn note(&mut self, message: &Message) {
        let header = message.header();
        let Some(sender) = header.sender().map(|sender| sender.as_str()) else { return };
        let is_signal = message.message_type() == Type::Signal;
        if sender == BUS {
            if is_signal {
                self.note_owner(message, &header);
            }
            return;
        }
        // Anybody may send signals straight to us.
        let mut owners = self.owners.iter();
        let Some((&service, _)) = owners.find(|(_, owner)| *owner == sender) else { return };
        // Also by the answer that came too late; a refusal, which may be what it owes an answer for, says nothing.
        if message.message_type() != Type::Error && self.silent.remove(&service) {
            self.news.everything_of(service);
        }
        if !is_signal {
            return;
        }
        match service {
            Service::NetworkManager => note_network_manager(&mut self.news, message, &header),
            Service::Networkd => {}
            Service::Resolved => self.news.resolved(),
        }
    }

    fn note_owner(&mut self, message: &Message, header: &Header<'_>) {
        if header.member().is_none_or(|member| member.as_str() != "NameOwnerChanged") {
            return;
        }
        let Ok((name, _, owner)) = message.body().deserialize::<(String, String, String)>() else { return };
        let Some(service) = Service::ALL.into_iter().find(|service| service.name() == name) else { return };
        self.silent.remove(&service);
        if owner.is_empty() {
            tracing::debug!(name, "a manager has left");
            self.owners.remove(&service);
        } else {
            tracing::debug!(name, "a manager is there");
            self.owners.insert(service, owner);
        }
        self.news.everything_of(service);
    }
}

/// Errors are answers too; those that the bus gives in a manager's place are none. The standard ones have types of
/// their own.
fn of_error(error: &zbus::Error) -> Result<Answer, BusLost> {
    use zbus::fdo::Error as Standard;
    match error {
        zbus::Error::MethodError(..) | zbus::Error::DBus(_) => Ok(Answer::Refused),
        zbus::Error::FDO(standard) => match **standard {
            Standard::ZBus(_) => Err(BusLost::Broken),
            Standard::NoReply(_)
            | Standard::ServiceUnknown(_)
            | Standard::NameHasNoOwner(_)
            | Standard::Disconnected(_)
            | Standard::Timeout(_)
            | Standard::TimedOut(_)
            | Standard::LimitsExceeded(_)
            | Standard::NoMemory(_) => Ok(Answer::Nothing),
            _ => Ok(Answer::Refused),
        },
        _ => Err(BusLost::Broken),
    }
}

fn note_network_manager(news: &mut News, message: &Message, header: &Header<'_>) {
    let Some(path) = header.path().map(|path| path.as_str()) else { return };
    match header.member().map(|member| member.as_str()) {
        // The root says a lot of itself; that it has done what it does at its start is all that counts.
        Some("PropertiesChanged") if path == super::network_manager::ROOT => {
            let body = message.body();
            let changed = body.deserialize::<(&str, BTreeMap<&str, zbus::Variant<'_>>, Vec<&str>)>();
            if changed.is_ok_and(|(_, changed, _)| changed.contains_key("Startup")) {
                news.network_manager_everything();
            }
        }
        Some("PropertiesChanged") => news.network_manager_object(path),
        Some("DeviceAdded" | "DeviceRemoved") => {
            if let Ok(device) = message.body().deserialize::<zbus::ObjectPath<'_>>() {
                news.network_manager_object(device.as_str());
            }
        }
        _ => {}
    }
}

fn match_rules(service: Service) -> Vec<String> {
    let name = service.name();
    let owner = format!("type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{name}'");
    let mut rules = vec![owner];
    rules.extend(service.followed().iter().map(|interface| {
        format!(
            "type='signal',sender='{name}',interface='{PROPERTIES}',member='PropertiesChanged',\
             arg0='{interface}'"
        )
    }));
    if service == Service::NetworkManager {
        rules.extend(
            ["DeviceAdded", "DeviceRemoved"]
                .map(|member| format!("type='signal',sender='{name}',interface='{name}',member='{member}'")),
        );
    }
    rules
}
