//! `mifctl translate`: a name in every provisioning domain, at the same time.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use mif::wire::Family;
use mif::{Answer, ProvisioningDomain, State, TranslateOptions, Translation};
use serde::Serialize;
use zbus::Connection;

use crate::args::{FamilyChoice, TranslateArguments};
use crate::failure::Failure;
use crate::format::{self, line};
use crate::output::{Output, Paint, Style};
use crate::{selection, status};

/// Questions at the same time: well below what the service allows one client.
const AT_ONCE: usize = 32;

/// What the service may take longer than it was told, for its own work and the bus.
const ALLOWANCE: Duration = Duration::from_secs(10);

/// The service's own time limit.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one PvD says.
struct Answered<'a> {
    pvd: &'a ProvisioningDomain,
    interface: &'a str,
    result: Result<Translation, mif::Error>,
}

/// Asks, and shows each PvD's answer.
pub async fn run(
    connection: &Connection,
    request: &TranslateArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let state = status::read_state(connection).await?;
    let pvds = chosen(&state, &request.pvds)?;
    let options = options(request);
    let answered: Vec<Answered<'_>> = stream::iter(pvds)
        .map(|pvd| ask(connection, &state, pvd, &request.name, &options))
        .buffered(AT_ONCE)
        .collect()
        .await;
    if output.is_json() {
        output.json(&Report::new(&request.name, &answered))?;
    } else if let Some(error) = wrong_everywhere(&answered) {
        return Err(error.clone().into());
    } else {
        let text = render(&request.name, &answered, output.paint());
        output.text(&text)?;
    }
    if answered.iter().any(|one| one.result.is_ok()) {
        return Ok(());
    }
    output.finish()?;
    Err(Failure::NotTranslated { name: request.name.clone() })
}

async fn ask<'a>(
    connection: &Connection,
    state: &'a State,
    pvd: &'a ProvisioningDomain,
    name: &str,
    options: &TranslateOptions,
) -> Answered<'a> {
    let limit = options.timeout.unwrap_or(SERVICE_TIMEOUT) + ALLOWANCE;
    let call = mif::translate_name(connection, &pvd.path, name, options);
    let result = match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(mif::Error::from_name("org.freedesktop.DBus.Error.NoReply", "")),
    };
    let interface = state.interface_of(pvd).map_or("", |interface| interface.name.as_str());
    Answered { pvd, interface, result }
}

/// The PvDs to be asked, in the order of the interfaces, each once.
fn chosen<'a>(state: &'a State, given: &[String]) -> Result<Vec<&'a ProvisioningDomain>, Failure> {
    if given.is_empty() || given.iter().any(|word| word == "all") {
        let all: Vec<&ProvisioningDomain> = state.pvds().collect();
        return if all.is_empty() { Err(Failure::NoPvds) } else { Ok(all) };
    }
    let mut meant = Vec::new();
    for word in given {
        meant.extend(selection::select(state, word)?.into_iter().map(|pvd| &pvd.path));
    }
    Ok(state.pvds().filter(|pvd| meant.contains(&&pvd.path)).collect())
}

fn options(request: &TranslateArguments) -> TranslateOptions {
    let family = match request.family {
        FamilyChoice::Any => None,
        FamilyChoice::Ipv4 => Some(Family::Ipv4),
        FamilyChoice::Ipv6 => Some(Family::Ipv6),
    };
    TranslateOptions { family, timeout: request.timeout, systems: Vec::new() }
}

/// What is wrong with the question itself: every PvD says the same, which is said once.
fn wrong_everywhere<'a>(answered: &'a [Answered<'_>]) -> Option<&'a mif::Error> {
    let mut errors = answered.iter().map(|one| {
        one.result.as_ref().err().filter(|error| error.kind() == Some(mif::ErrorKind::InvalidArgs))
    });
    let first = errors.next()??;
    errors.all(|error| error.is_some_and(|error| error.to_string() == first.to_string())).then_some(first)
}

/// The answers as text: a paragraph for each PvD.
fn render(name: &str, answered: &[Answered<'_>], paint: Paint) -> String {
    let mut text = String::new();
    for one in answered {
        let on = if one.pvd.id.starts_with("implicit:") {
            String::new()
        } else {
            format!(" on {}", one.interface)
        };
        line(&mut text, &format!("{}{on}", paint.paint(Style::Name, &one.pvd.id)));
        match &one.result {
            Ok(translation) => translated(&mut text, name, translation, paint),
            Err(error) => line(&mut text, &format!("  {}", paint.paint(Style::Bad, &error.to_string()))),
        }
    }
    text
}

fn translated(text: &mut String, asked: &str, translation: &Translation, paint: Paint) {
    let shown: Vec<String> = translation.answers.iter().map(|it| it.address.to_string()).collect();
    let width = shown.iter().map(String::len).max().unwrap_or_default();
    for (answer, address) in translation.answers.iter().zip(&shown) {
        line(text, &format!("  {address:width$}  {}", paint.paint(Style::Faint, &notes(answer))));
    }
    let asked = asked.strip_suffix('.').unwrap_or(asked);
    if let Some(name) = translation.canonical_name.as_ref().filter(|name| !name.eq_ignore_ascii_case(asked)) {
        line(text, &format!("  {}", paint.paint(Style::Faint, &format!("(canonical name {name})"))));
    }
    if translation.truncated {
        line(text, &format!("  {}", paint.paint(Style::Notice, "(there are more addresses)")));
    }
}

/// Where an answer is from: `dns, from 192.0.2.53 by udp, for 5 min`.
fn notes(answer: &Answer) -> String {
    let mut notes: Vec<String> = Vec::new();
    notes.extend(answer.source.as_ref().map(ToString::to_string));
    if let Some(server) = &answer.server {
        let transport = answer.transport.as_ref().map_or(String::new(), |word| format!(" by {word}"));
        notes.push(format!("from {server}{transport}"));
    }
    if answer.synthesized {
        notes.push("made for NAT64".to_owned());
    }
    notes.extend(answer.ttl.map(|ttl| format!("for {}", format::duration(ttl))));
    notes.join(", ")
}

/// The answers as JSON; the schema is in `mifctl translate --help`.
#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    results: Vec<ResultView<'a>>,
}

#[derive(Serialize)]
struct ResultView<'a> {
    pvd: &'a str,
    id: &'a str,
    interface: &'a str,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Answered { addresses: Vec<AnswerView<'a>>, canonical_name: Option<&'a str>, truncated: bool },
    Failed { error: ErrorView<'a> },
}

#[derive(Serialize)]
struct AnswerView<'a> {
    address: IpAddr,
    source: Option<&'a str>,
    ttl_seconds: Option<u64>,
    server: Option<&'a str>,
    transport: Option<&'a str>,
    encrypted: bool,
    synthesized: bool,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    name: Option<&'a str>,
    message: String,
}

impl<'a> Report<'a> {
    fn new(name: &'a str, answered: &'a [Answered<'a>]) -> Self {
        Self { name, results: answered.iter().map(ResultView::new).collect() }
    }
}

impl<'a> ResultView<'a> {
    fn new(one: &'a Answered<'a>) -> Self {
        let outcome = match &one.result {
            Ok(translation) => Outcome::Answered {
                addresses: translation.answers.iter().map(AnswerView::new).collect(),
                canonical_name: translation.canonical_name.as_deref(),
                truncated: translation.truncated,
            },
            Err(error) => {
                Outcome::Failed { error: ErrorView { name: error.name(), message: error.to_string() } }
            }
        };
        Self { pvd: one.pvd.path.as_str(), id: &one.pvd.id, interface: one.interface, outcome }
    }
}

impl<'a> AnswerView<'a> {
    fn new(answer: &'a Answer) -> Self {
        Self {
            address: answer.address,
            source: answer.source.as_ref().map(|source| source.as_str()),
            ttl_seconds: answer.ttl.map(|ttl| ttl.as_secs()),
            server: answer.server.as_deref(),
            transport: answer.transport.as_deref(),
            encrypted: answer.encrypted,
            synthesized: answer.synthesized,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::status::samples;
    use mif::wire::TranslationSystem;

    fn answered(state: &State) -> Vec<Answered<'_>> {
        let answer = Answer {
            address: "198.51.100.7".parse().unwrap(),
            source: Some(TranslationSystem::Dns),
            ttl: Some(Duration::from_secs(300)),
            server: Some("192.0.2.53".to_owned()),
            transport: Some("udp".to_owned()),
            encrypted: false,
            synthesized: false,
        };
        let other =
            Answer { address: "2001:db8::7".parse().unwrap(), ttl: None, server: None, ..answer.clone() };
        let translation = Translation {
            answers: vec![answer, other],
            canonical_name: Some("web.example".to_owned()),
            truncated: false,
        };
        let error = mif::Error::from_name("org.ietf.Mif1.Error.NoNameServers", "");
        let mut pvds = state.pvds();
        vec![
            Answered { pvd: pvds.next().unwrap(), interface: "eth0", result: Ok(translation) },
            Answered { pvd: pvds.last().unwrap(), interface: "wlan0", result: Err(error) },
        ]
    }

    #[test]
    fn each_pvd_has_its_paragraph() {
        let state = samples::two_isps();
        let text = render("www", &answered(&state), Paint::PLAIN);
        let expected = "\
implicit:eth0:ipv4
  198.51.100.7  dns, from 192.0.2.53 by udp, for 5 min
  2001:db8::7   dns
  (canonical name web.example)
isp.example on wlan0
  the provisioning domain has no DNS server
";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn a_canonical_name_that_is_the_name_is_no_news() {
        let state = samples::two_isps();
        for name in ["web.example", "Web.Example."] {
            let text = render(name, &answered(&state), Paint::PLAIN);
            assert!(!text.contains("canonical"), "{text}");
        }
    }

    #[test]
    fn a_wrong_question_is_told_once() {
        let state = samples::two_isps();
        let mut answered = answered(&state);
        assert!(wrong_everywhere(&answered).is_none());
        for one in &mut answered {
            one.result = Err(mif::Error::from_name("org.freedesktop.DBus.Error.InvalidArgs", "no such name"));
        }
        assert_eq!(wrong_everywhere(&answered).map(ToString::to_string).as_deref(), Some("no such name"));
        answered[1].result = Err(mif::Error::from_name("org.ietf.Mif1.Error.PvdGone", ""));
        assert!(wrong_everywhere(&answered).is_none());
    }

    #[test]
    fn json_has_addresses_or_an_error() {
        let state = samples::two_isps();
        let answered = answered(&state);
        let value = serde_json::to_value(Report::new("www", &answered)).unwrap();
        assert_eq!(value["results"][0]["addresses"][0]["ttl_seconds"], 300);
        assert!(value["results"][0]["error"].is_null());
        assert_eq!(value["results"][1]["error"]["name"], "org.ietf.Mif1.Error.NoNameServers");
        assert!(value["results"][1]["addresses"].is_null());
    }

    #[test]
    fn pvds_are_chosen_once_each_in_order() {
        let state = samples::two_isps();
        let ids = |given: &[&str]| -> Vec<&str> {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            chosen(&state, &given).unwrap().into_iter().map(|pvd| pvd.id.as_str()).collect()
        };
        assert_eq!(ids(&[]).len(), 4);
        assert_eq!(ids(&["eth1", "implicit:eth0:ipv4", "eth1"]), ["implicit:eth0:ipv4", "isp.example"]);
        assert_eq!(ids(&["eth1", "all"]).len(), 4);
        assert!(matches!(chosen(&State::default(), &[]), Err(Failure::NoPvds)));
    }
}
