//! `mifctl explain`: how a connection would leave a provisioning domain.

use std::net::IpAddr;

use mif::ProvisioningDomain;
use mif::wire::{CandidateDetails, ExplanationDetails, RouteDetails};
use serde::Serialize;
use zbus::Connection;

use crate::args::ExplainArguments;
use crate::failure::Failure;
use crate::format::line;
use crate::output::{Output, Paint, Style};
use crate::{selection, status};

/// Asks, and shows the explanation.
pub async fn run(
    connection: &Connection,
    arguments: &ExplainArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let state = status::read_state(connection).await?;
    let pvd = selection::select_one(&state, &arguments.pvd, arguments.address)?;
    let explained = mif::explain(connection, &pvd.path, arguments.address, arguments.source).await?;
    if output.is_json() {
        output.json(&Report::new(pvd, arguments.address, &explained))
    } else {
        let text = render(&pvd.id, arguments.address, &explained, output.paint());
        output.text(&text)
    }
}

fn render(pvd: &str, destination: IpAddr, explained: &ExplanationDetails, paint: Paint) -> String {
    let mut text = String::new();
    line(&mut text, &format!("To {destination} in {}", paint.paint(Style::Name, pvd)));
    if let Some(message) = &explained.message {
        line(&mut text, &format!("  {}  {message}", paint.paint(Style::Bad, "refused")));
    }
    let via = match (&explained.route, &explained.router) {
        (None, _) => "no route leads there".to_owned(),
        (Some(_), None) => "on the link itself, no router".to_owned(),
        (Some(_), Some(router)) => format!("router {router}"),
    };
    line(&mut text, &format!("  by       {}, {via}", explained.device.as_deref().unwrap_or("?")));
    if let (Some(table), Some(mark)) = (explained.table, explained.mark) {
        let mask = explained.mark_mask.unwrap_or(u32::MAX);
        line(&mut text, &format!("  routing  table {table}, mark {mark:#x}/{mask:#x}"));
    }
    line(&mut text, "  from");
    let candidates = explained.candidates.iter().flatten();
    table(&mut text, candidates.map(|it| (it.address.clone(), &*it.verdict, it.why.as_deref())), paint);
    line(&mut text, "  routes");
    let routes = explained.routes.iter().flatten();
    table(&mut text, routes.map(|it| (route(it), &*it.verdict, it.why.as_deref())), paint);
    text
}

fn route(route: &RouteDetails) -> String {
    match &route.gateway {
        Some(gateway) => format!("{} via {gateway}", route.destination),
        None => format!("{} on-link", route.destination),
    }
}

/// What is chosen, what is not, and why.
fn table<'a>(
    text: &mut String,
    rows: impl Iterator<Item = (String, &'a str, Option<&'a str>)>,
    paint: Paint,
) {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return line(text, &format!("    {}", paint.paint(Style::Faint, "none")));
    }
    let width = rows.iter().map(|(what, ..)| what.chars().count()).max().unwrap_or(0);
    for (what, verdict, why) in rows {
        let chosen = verdict == "chosen";
        let sign = if chosen { paint.paint(Style::Good, "*") } else { " ".to_owned() };
        let why = why.unwrap_or(verdict);
        let why = if chosen { why.to_owned() } else { paint.paint(Style::Faint, why) };
        line(text, &format!("  {sign} {what:width$}  {why}"));
    }
}

/// The schema is in `mifctl explain --help`.
#[derive(Serialize)]
struct Report<'a> {
    pvd: &'a str,
    id: &'a str,
    destination: IpAddr,
    source: Option<&'a str>,
    device: Option<&'a str>,
    ifindex: Option<u32>,
    route: Option<&'a str>,
    router: Option<&'a str>,
    table: Option<u32>,
    mark: Option<u32>,
    mark_mask: Option<u32>,
    error: Option<&'a str>,
    message: Option<&'a str>,
    candidates: Vec<Candidate<'a>>,
    routes: Vec<Route<'a>>,
}

#[derive(Serialize)]
struct Candidate<'a> {
    address: &'a str,
    verdict: &'a str,
    rule: Option<u8>,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Route<'a> {
    destination: &'a str,
    gateway: Option<&'a str>,
    preference: Option<&'a str>,
    verdict: &'a str,
    why: Option<&'a str>,
}

impl<'a> Report<'a> {
    fn new(pvd: &'a ProvisioningDomain, destination: IpAddr, explained: &'a ExplanationDetails) -> Self {
        Self {
            pvd: pvd.path.as_str(),
            id: &pvd.id,
            destination,
            source: explained.source.as_deref(),
            device: explained.device.as_deref(),
            ifindex: explained.ifindex,
            route: explained.route.as_deref(),
            router: explained.router.as_deref(),
            table: explained.table,
            mark: explained.mark,
            mark_mask: explained.mark_mask,
            error: explained.error_name.as_deref(),
            message: explained.message.as_deref(),
            candidates: explained.candidates.iter().flatten().map(Candidate::of).collect(),
            routes: explained.routes.iter().flatten().map(Route::of).collect(),
        }
    }
}

impl<'a> Candidate<'a> {
    fn of(told: &'a CandidateDetails) -> Self {
        Self { address: &told.address, verdict: &told.verdict, rule: told.rule, why: told.why.as_deref() }
    }
}

impl<'a> Route<'a> {
    fn of(told: &'a RouteDetails) -> Self {
        Self {
            destination: &told.destination,
            gateway: told.gateway.as_deref(),
            preference: told.preference.as_deref(),
            verdict: &told.verdict,
            why: told.why.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn candidate(address: &str, verdict: &str, why: &str) -> CandidateDetails {
        CandidateDetails {
            address: address.to_owned(),
            state: None,
            temporary: None,
            verdict: verdict.to_owned(),
            rule: None,
            why: Some(why.to_owned()),
        }
    }

    fn route(destination: &str, gateway: Option<&str>, verdict: &str, why: &str) -> RouteDetails {
        RouteDetails {
            destination: destination.to_owned(),
            gateway: gateway.map(str::to_owned),
            preference: None,
            verdict: verdict.to_owned(),
            why: Some(why.to_owned()),
        }
    }

    #[test]
    fn what_is_chosen_stands_out_and_the_rest_says_why_not() {
        let explained = ExplanationDetails {
            device: Some("eth0".to_owned()),
            route: Some("0.0.0.0/0".to_owned()),
            router: Some("192.0.2.1".to_owned()),
            table: Some(1_291_845_633),
            mark: Some(0x4d00_0001),
            mark_mask: Some(0xff00_ffff),
            candidates: Some(vec![
                candidate("192.0.2.7", "chosen", "it is nearer"),
                candidate("192.0.2.101", "behind", "the one before it is nearer"),
            ]),
            routes: Some(vec![
                route("0.0.0.0/0", Some("192.0.2.1"), "chosen", "it leads there"),
                route("192.0.2.0/24", None, "elsewhere", "it does not lead there"),
            ]),
            ..ExplanationDetails::default()
        };
        let expected = [
            "To 203.0.113.1 in home",
            "  by       eth0, router 192.0.2.1",
            "  routing  table 1291845633, mark 0x4d000001/0xff00ffff",
            "  from",
            "  * 192.0.2.7    it is nearer",
            "    192.0.2.101  the one before it is nearer",
            "  routes",
            "  * 0.0.0.0/0 via 192.0.2.1  it leads there",
            "    192.0.2.0/24 on-link     it does not lead there",
        ];
        let text = render("home", "203.0.113.1".parse().unwrap(), &explained, Paint::PLAIN);
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_refusal_comes_first() {
        let explained = ExplanationDetails {
            message: Some("127.0.0.1 is a loopback address".to_owned()),
            device: Some("eth0".to_owned()),
            ..ExplanationDetails::default()
        };
        let text = render("home", "127.0.0.1".parse().unwrap(), &explained, Paint::PLAIN);
        assert!(
            text.starts_with("To 127.0.0.1 in home\n  refused  127.0.0.1 is a loopback address\n"),
            "{text}"
        );
        assert!(text.contains("eth0, no route leads there") && text.contains("    none"), "{text}");
    }
}
