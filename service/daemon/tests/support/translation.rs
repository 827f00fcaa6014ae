//! Plans for names in DNS, and what became of them.

use super::{DEADLINE, ifindex};
use mif_core::plan::{
    Answer, DnsPlan, DnsProtocol, DnsServer, Families, Lookup, TranslatePlan, Translation, TranslationEnd,
    TranslationFailure,
};
use mif_core::pvd::Serial;
use mifd::translate::{Settings, Translator};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A plan for the link `link`: servers as "ADDRESS" or "ADDRESS from SOURCE".
pub fn plan(link: &str, servers: &[&str], names: &[&str]) -> TranslatePlan {
    let ifindex = ifindex(link);
    let server = |text: &&str| {
        let (server, source) = text.split_once(" from ").map_or((*text, None), |(a, b)| (a, Some(b)));
        let scope = if server.starts_with("fe80:") { format!("%{ifindex}") } else { String::new() };
        let address =
            if server.contains(':') { format!("[{server}{scope}]:53") } else { format!("{server}:53") };
        DnsServer { address: address.parse().unwrap(), source: source.map(ip), protocol: DnsProtocol::Plain }
    };
    TranslatePlan {
        pvd: Serial(u64::from(ifindex)),
        ifindex,
        timeout_ms: 10_000,
        translation: Translation::Lookup(Lookup {
            name: names[0].to_owned(),
            families: Families::Any,
            hosts: false,
            dns: Ok(DnsPlan {
                servers: servers.iter().map(server).collect(),
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                named: None,
                nat64: None,
            }),
            mdns: None,
            llmnr: None,
            nis: None,
        }),
    }
}

pub fn asking_for(families: Families, plan: TranslatePlan) -> TranslatePlan {
    let Translation::Lookup(lookup) = plan.translation else { panic!("a literal") };
    TranslatePlan { translation: Translation::Lookup(Lookup { families, ..lookup }), ..plan }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn translator() -> Translator {
    Translator::new(Settings { hosts: "/nonexistent/hosts".into(), ..Settings::default() })
}

pub struct Outcome {
    /// With the time that each took.
    pub answers: Vec<(Duration, Answer)>,
    pub end: Result<TranslationEnd, TranslationFailure>,
    pub took: Duration,
}

impl Outcome {
    pub fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> =
            self.answers.iter().map(|(_, answer)| answer.address.to_string()).collect();
        addresses.sort();
        addresses
    }

    pub fn canonical_name(&self) -> String {
        self.end.clone().unwrap().canonical_name.unwrap()
    }
}

pub async fn translate(translator: &Translator, plan: &TranslatePlan) -> Outcome {
    let since = Instant::now();
    let mut answers = Vec::new();
    let translation = translator.translate(plan, |answer| answers.push((since.elapsed(), answer)));
    let end = tokio::time::timeout(DEADLINE, translation).await.expect("the translation ends");
    Outcome { answers, end, took: since.elapsed() }
}
