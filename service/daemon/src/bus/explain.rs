//! Explain: how a connection would leave, in words and for programs.

use super::Bus;
use super::call::Call;
use super::convert;
use super::dispatch::Answered;
use super::error::BusError;
use super::state_face::{GivenOptions, options, parse_address};
use super::text::Text;
use super::wire::{Fields, Value};
use mif_core::plan::{self, ExplainRequest, ExplainedRoute, ExplainedSource, Explanation};
use mif_core::pvd::Serial;

impl Bus {
    /// Reading only: nothing is sent, and nobody is asked.
    pub(super) fn explain(&self, call: &Call, pvd: Serial) -> Answered {
        let (address, given): (Text, GivenOptions) = call.arguments("sa{sv}")?;
        let mut options = options(given, &["source"])?;
        let source = options.text("source")?.map(|source| parse_address("source", &source)).transpose()?;
        let request = ExplainRequest { address: parse_address("address", &address)?, source };
        let in_use = self.router.in_use(pvd);
        let silent = in_use.as_ref().map(|known| &*known.silent_routers).unwrap_or_default();
        let mut fields = fields(plan::explain(&self.snapshot, pvd, request, silent)?);
        if let Some(known) = in_use {
            fields.insert("table", Value::from(known.mark.0));
            fields.insert("mark", Value::from(known.mark.0));
            fields.insert("mark-mask", Value::from(self.router.mask()));
        }
        call.reply(&(fields,))
    }
}

fn fields(explanation: Explanation) -> Fields {
    let mut fields = Fields::from([
        ("device", Value::from(explanation.device.clone())),
        ("ifindex", Value::from(explanation.ifindex)),
        ("candidates", Value::from(explanation.sources.iter().map(candidate).collect::<Vec<_>>())),
        ("routes", Value::from(explanation.routes.iter().map(route).collect::<Vec<_>>())),
    ]);
    if let Some(source) = explanation.source() {
        fields.insert("source", convert::text(source.address.address));
    }
    if let Some(route) = explanation.route() {
        fields.insert("route", convert::text(route.destination));
        fields.extend(route.gateway.map(|gateway| ("router", convert::text(gateway))));
    }
    if let Some(refusal) = explanation.refusal {
        let error = BusError::from(refusal);
        fields.insert("error-name", Value::from(error.name.full()));
        fields.insert("message", Value::from(error.message));
    }
    fields
}

fn candidate(source: &ExplainedSource) -> Fields {
    let mut fields = convert::address(&source.address);
    fields.insert("verdict", Value::from(source.verdict.word()));
    fields.insert("why", convert::text(source.verdict));
    let rule = source.verdict.rule().and_then(|rule| rule.number());
    fields.extend(rule.map(|number| ("rule", Value::from(number))));
    fields
}

fn route(route: &ExplainedRoute) -> Fields {
    let mut fields = Fields::from([
        ("destination", convert::text(route.destination)),
        ("preference", Value::from(route.preference.word())),
        ("verdict", Value::from(route.verdict.word())),
        ("why", convert::text(route.verdict)),
    ]);
    fields.extend(route.gateway.map(|gateway| ("gateway", convert::text(gateway))));
    fields
}
