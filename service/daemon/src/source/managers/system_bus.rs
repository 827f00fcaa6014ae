//! The connection to the system bus over which managers are heard and asked.
//!
//! Messages that come in are taken out of their queue also while an answer is awaited: zbus reads no further when a
//! queue is full, and then the answer would never come.

use super::dirt::News;
use futures_util::StreamExt;
use std::collections::BTreeMap;
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

/// The connection, and what was heard over it and not read yet.
pub(super) struct SystemBus {
    connection: Connection,
    incoming: MessageStream,
    /// The unique name of each manager that is there.
    owners: BTreeMap<Service, String>,
    news: News,
}

impl SystemBus {
    /// Connects, and finds out who is there.
    pub(super) async fn connect() -> Result<Self, BusLost> {
        let built = zbus::connection::Builder::system().build();
        let built = tokio::time::timeout(CONNECT_TIMEOUT, built).await.map_err(|_| BusLost::Timeout)?;
        let connection = built.map_err(BusLost::Connect)?;
        let incoming = MessageStream::from(&connection);
        let mut bus = Self { connection, incoming, owners: BTreeMap::new(), news: News::everything() };
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

    /// All properties of one interface of an object; `None` when they are not to be had.
    pub(super) async fn properties(
        &mut self,
        service: Service,
        path: &str,
        interface: &str,
    ) -> Result<Option<Message>, BusLost> {
        self.ask(service, path, (PROPERTIES, "GetAll"), &interface).await
    }

    /// One property; `None` when it is not to be had.
    pub(super) async fn property(
        &mut self,
        service: Service,
        path: &str,
        property: (&str, &str),
    ) -> Result<Option<Message>, BusLost> {
        self.ask(service, path, (PROPERTIES, "Get"), &property).await
    }

    /// The answer of a manager to a call of interface and method; `None` when it is not there, refuses, or does not
    /// answer in time. It is asked by its unique name, so that nothing starts because of it.
    pub(super) async fn ask<B>(
        &mut self,
        service: Service,
        path: &str,
        (interface, method): (&str, &str),
        body: &B,
    ) -> Result<Option<Message>, BusLost>
    where
        B: serde::Serialize + DynamicType,
    {
        let Some(owner) = self.owners.get(&service).cloned() else { return Ok(None) };
        self.call(&owner, path, (interface, method), body).await
    }

    async fn ask_bus(&mut self, method: &str, text: &str) -> Result<Option<Message>, BusLost> {
        self.call(BUS, BUS_PATH, (BUS, method), &text).await
    }

    async fn call<B>(
        &mut self,
        destination: &str,
        path: &str,
        (interface, method): (&str, &str),
        body: &B,
    ) -> Result<Option<Message>, BusLost>
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
                    Ok(Ok(reply)) => Ok(Some(reply)),
                    Ok(Err(error)) if is_refusal(&error) => {
                        tracing::debug!(destination, path, method, %error, "a manager refused");
                        Ok(None)
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(destination, path, method, %error, "a manager could not be asked");
                        Err(BusLost::Broken)
                    }
                    Err(_) => {
                        tracing::debug!(destination, path, method, "a manager does not answer");
                        Ok(None)
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
        if message.message_type() != Type::Signal {
            return;
        }
        let header = message.header();
        let Some(sender) = header.sender().map(|sender| sender.as_str()) else { return };
        if sender == BUS {
            self.note_owner(message, &header);
            return;
        }
        // Anybody may send signals straight to us.
        let mut owners = self.owners.iter();
        let Some((service, _)) = owners.find(|(_, owner)| *owner == sender) else { return };
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
        if owner.is_empty() {
            tracing::debug!(name, "a manager has left");
            self.owners.remove(&service);
        } else {
            tracing::debug!(name, "a manager is there");
            self.owners.insert(service, owner);
        }
        match service {
            Service::NetworkManager => self.news.network_manager_everything(),
            Service::Networkd => self.news.networkd_everything(),
            Service::Resolved => self.news.resolved(),
        }
    }
}

/// Whether somebody has answered, with an error: the standard ones have types of their own.
fn is_refusal(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::MethodError(..) | zbus::Error::DBus(_) => true,
        zbus::Error::FDO(standard) => !matches!(**standard, zbus::fdo::Error::ZBus(_)),
        _ => false,
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
