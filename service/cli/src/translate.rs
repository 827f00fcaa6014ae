//! `mifctl translate`: a name in every provisioning domain, at the same time.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use mif::wire::{Family, TranslationSystem};
use mif::{Answer, ProvisioningDomain, State, TranslateOptions, Translation};
use serde::Serialize;
use zbus::Connection;

use crate::args::{FamilyChoice, SystemChoice, TranslateArguments};
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
    /// How long it took to say so.
    took: Duration,
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
    let since = Instant::now();
    let result = match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(mif::Error::from_name("org.freedesktop.DBus.Error.NoReply", "")),
    };
    let interface = state.interface_of(pvd).map_or("", |interface| interface.name.as_str());
    Answered { pvd, interface, took: since.elapsed(), result }
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
    let systems = request.systems.iter().map(|system| match system {
        SystemChoice::Dns => TranslationSystem::Dns,
        SystemChoice::Hosts => TranslationSystem::Hosts,
        SystemChoice::Mdns => TranslationSystem::Mdns,
        SystemChoice::Llmnr => TranslationSystem::Llmnr,
        SystemChoice::Nis => TranslationSystem::Nis,
    });
    TranslateOptions { family, timeout: request.timeout, systems: systems.collect() }
}

/// What is wrong with the question itself: every PvD says the same, which is said once.
fn wrong_everywhere<'a>(answered: &'a [Answered<'_>]) -> Option<&'a mif::Error> {
    let mut errors = answered.iter().map(|one| {
        one.result.as_ref().err().filter(|error| error.kind() == Some(mif::ErrorKind::InvalidArgs))
    });
    let first = errors.next()??;
    errors.all(|error| error.is_some_and(|error| error.to_string() == first.to_string())).then_some(first)
}

/// The answers as text, side by side: a line for each address, under the name of its PvD.
fn render(name: &str, answered: &[Answered<'_>], paint: Paint) -> String {
    let rows: Vec<Row> = answered.iter().flat_map(|one| rows(name, one)).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        if let Row::Answer(cells) = row {
            let longer = |(width, cell): (&mut usize, &String)| *width = (*width).max(cell.chars().count());
            widths.iter_mut().zip(cells).for_each(longer);
        }
        if let Row::Note(pvd, ..) = row {
            widths[0] = widths[0].max(pvd.chars().count());
        }
    }
    let mut text = String::new();
    let headings = padded(&HEADINGS.map(str::to_owned), widths);
    line(&mut text, &paint.paint(Style::Faint, headings.join("  ").trim_end()));
    for row in &rows {
        match row {
            Row::Answer(cells) => {
                let mut cells = padded(cells, widths);
                cells[0] = paint.paint(Style::Name, &cells[0]);
                line(&mut text, &cells.join("  "));
            }
            Row::Note(pvd, style, note) => {
                let pvd = format!("{pvd:width$}", width = widths[0]);
                let note = format!("{}  {}", paint.paint(Style::Name, &pvd), paint.paint(*style, note));
                line(&mut text, &note);
            }
        }
    }
    text
}

const HEADINGS: [&str; 7] = ["PVD", "ADDRESS", "FROM", "SERVER", "BY", "TTL", "TIME"];

/// A line of the table.
enum Row {
    /// One cell for each of [`HEADINGS`].
    Answer([String; HEADINGS.len()]),
    /// The PvD, unless a line before has it, and what there is to say of its answer.
    Note(String, Style, String),
}

/// The lines of one PvD.
fn rows(asked: &str, one: &Answered<'_>) -> Vec<Row> {
    let named = one.pvd.id.starts_with("implicit:");
    let pvd = if named { one.pvd.id.clone() } else { format!("{} on {}", one.pvd.id, one.interface) };
    let took = format::elapsed(one.took);
    let translation = match &one.result {
        Ok(translation) => translation,
        Err(error) => return vec![Row::Note(pvd, Style::Bad, format!("{error} (after {took})"))],
    };
    let mut first = Some((pvd, took));
    let mut rows: Vec<Row> = Vec::new();
    for answer in &translation.answers {
        let (pvd, took) = first.take().unwrap_or_default();
        rows.push(Row::Answer(cells(answer, pvd, took)));
    }
    let asked = asked.strip_suffix('.').unwrap_or(asked);
    if let Some(name) = translation.canonical_name.as_ref().filter(|name| !name.eq_ignore_ascii_case(asked)) {
        rows.push(Row::Note(String::new(), Style::Faint, format!("(canonical name {name})")));
    }
    if translation.truncated {
        rows.push(Row::Note(String::new(), Style::Notice, "(there are more addresses)".to_owned()));
    }
    rows
}

fn cells(answer: &Answer, pvd: String, took: String) -> [String; HEADINGS.len()] {
    let mut from = answer.source.as_ref().map(ToString::to_string).unwrap_or_default();
    if answer.synthesized {
        from.push_str(" (made for NAT64)");
    }
    let mut by = answer.transport.clone().unwrap_or_default();
    if answer.encrypted {
        by.push_str(", encrypted");
    }
    let server = answer.server.clone().unwrap_or_default();
    let ttl = answer.ttl.map(format::duration).unwrap_or_default();
    [pvd, answer.address.to_string(), from, server, by, ttl, took]
}

fn padded(cells: &[String; HEADINGS.len()], widths: [usize; HEADINGS.len()]) -> Vec<String> {
    cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect()
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
    took_ms: f64,
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
        let took_ms = one.took.as_secs_f64() * 1e3;
        Self { pvd: one.pvd.path.as_str(), id: &one.pvd.id, interface: one.interface, took_ms, outcome }
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
            Answered {
                pvd: pvds.next().unwrap(),
                interface: "eth0",
                took: Duration::from_micros(1_240),
                result: Ok(translation),
            },
            Answered {
                pvd: pvds.last().unwrap(),
                interface: "wlan0",
                took: Duration::from_micros(300),
                result: Err(error),
            },
        ]
    }

    #[test]
    fn answers_stand_side_by_side() {
        let state = samples::two_isps();
        let text = render("www", &answered(&state), Paint::PLAIN);
        let expected = "\
PVD                   ADDRESS       FROM  SERVER      BY   TTL    TIME
implicit:eth0:ipv4    198.51.100.7  dns   192.0.2.53  udp  5 min  1.2 ms
                      2001:db8::7   dns               udp
                      (canonical name web.example)
isp.example on wlan0  the provisioning domain has no DNS server (after 300 us)
";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn what_is_special_of_an_answer_is_told() {
        let state = samples::two_isps();
        let mut answered = answered(&state);
        if let Ok(translation) = &mut answered[0].result {
            translation.answers[0].encrypted = true;
            translation.answers[0].transport = Some("dot".to_owned());
            translation.answers[1].synthesized = true;
            translation.truncated = true;
        }
        let text = render("www", &answered, Paint::PLAIN);
        for word in ["  dot, encrypted  ", "  dns (made for NAT64)  ", "  (there are more addresses)\n"] {
            assert!(text.contains(word), "{word}: {text}");
        }
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
        assert_eq!(value["results"][0]["took_ms"], 1.24);
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
