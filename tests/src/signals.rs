//! Waiting for D-Bus signals.

use futures_util::StreamExt;
use tokio::sync::mpsc;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream};

use crate::wait;

/// Every signal that reaches a connection, in the order in which the bus delivered them: those sent
/// to it alone, and broadcasts for which it has a match.
#[derive(Debug)]
pub struct Signals {
    connection: Connection,
    incoming: mpsc::UnboundedReceiver<Message>,
    passed: Vec<String>,
}

impl Signals {
    /// Listens from now on.
    pub fn of(connection: &Connection) -> Self {
        let mut stream = MessageStream::from(connection);
        let (sender, incoming) = mpsc::unbounded_channel();
        // A stream that nobody reads stops the whole connection, hence a task that always does.
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if message.message_type() == Type::Signal && sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self { connection: connection.clone(), incoming, passed: Vec::new() }
    }

    /// Adds a match for broadcasts, such as `type='signal',sender='org.ietf.Mif1'`.
    ///
    /// # Panics
    /// When the bus refuses it.
    pub async fn add_match(&self, rule: &str) {
        let bus = DBusProxy::new(&self.connection).await.expect("a proxy of the bus");
        let rule = MatchRule::try_from(rule).expect("a match rule");
        bus.add_match_rule(rule).await.expect("add a match");
    }

    /// The next signal.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn next(&mut self, what: &str) -> Message {
        self.until(what, |message| Some(message.clone())).await
    }

    /// The first signal of which `choose` makes something; those before it are passed over.
    ///
    /// # Panics
    /// At the deadline, with a list of the signals that were passed over.
    pub async fn until<T>(&mut self, what: &str, mut choose: impl FnMut(&Message) -> Option<T>) -> T {
        let start = self.passed.len();
        let found = tokio::time::timeout(wait::DEADLINE, async {
            while let Some(message) = self.incoming.recv().await {
                if let Some(value) = choose(&message) {
                    return value;
                }
                self.passed.push(describe(&message));
            }
            panic!("the connection ended while waiting for: {what}");
        });
        match found.await {
            Ok(value) => value,
            Err(_) => {
                panic!("waited in vain for the signal: {what}\nothers came: {:#?}", &self.passed[start..])
            }
        }
    }

    /// The signals that have come and were not asked for yet, without waiting.
    pub fn drain(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.incoming.try_recv().ok()).collect()
    }
}

/// A signal in one line: its path, member and arguments.
pub fn describe(message: &Message) -> String {
    let header = message.header();
    let path = header.path().map(ToString::to_string).unwrap_or_default();
    let member = header.member().map(ToString::to_string).unwrap_or_default();
    let body = message.body();
    let arguments = match body.deserialize::<zbus::wire::Structure<'_>>() {
        Ok(arguments) => arguments.to_string(),
        Err(_) => format!("({})", body.signature()),
    };
    format!("{path} {member} {arguments}")
}
