//! What races between networks make of what the networks say of themselves.

use crate::network::{
    HTTP, ID, Network, captive_portal, captivity_where, information, informed, pvd_json, served_trusting,
};
use mif::happy_eyeballs::{Options, Policy, Reserve, connect};
use mif::{NameRequest, connect_to_name};
use mif_tests::https::{Authority, HttpRequest, Reply};
use mif_tests::universe;
use mif_tests::wait::completes;
use serde_json::json;

/// A race uses the networks that say of themselves that they lead nowhere only when there is no other.
#[test]
fn a_race_leaves_captive_networks_and_those_without_internet_for_last() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let answer = |request: &HttpRequest| match request.line.contains("pvd") {
            true => pvd_json(information(ID, json!({"noInternet": true}))),
            false => Reply::document("application/captive+json", json!({"captive": true}).to_string()),
        };
        let identity = || authority.vouch(&["web.example", ID]);
        let captive = Network::new(&universe, 1, "captive.example", identity(), answer).await;
        let inner = Network::new(&universe, 2, ID, identity(), answer).await;
        let served = served_trusting(&universe, &authority).await;
        captive.send(captive.content().raw(&captive_portal("https://web.example/api")));
        inner.advertise(HTTP, 7, ID);
        let captive_id = format!("implicit:eth1:ipv6:{}", captive.cable.far().link_local());
        captivity_where(&served, &captive_id, |data| data["captive"]["data"] == true).await;
        served.pvd_where(ID, informed).await;

        let race = async |options: &Options| {
            completes("the end of the race", connect(&served.connection, "web.example", 443, options)).await
        };
        let strict = Policy { captive: Reserve::Never, no_internet: Reserve::Never, ..Policy::default() };
        let error = race(&Options { policy: strict, ..Options::default() }).await.unwrap_err();
        let mif::Error::Lost(lost) = &error else { panic!("{error}") };
        let told = lost.story.to_string();
        for why in ["a captive portal is in the way", "no Internet"] {
            assert!(told.contains(why), "{told}");
        }
        let last = race(&Options::default()).await.unwrap();
        assert!(last.pvd.id == captive_id || last.pvd.id == ID, "{}", last.story);

        // A third one, which comes last and says nothing of the kind.
        let free = Network::new(&universe, 3, "free.example", identity(), answer).await;
        free.send(free.content());
        let free_id = format!("implicit:eth3:ipv6:{}", free.cable.far().link_local());
        served.pvd_where(&free_id, |pvd| !pvd.dns_servers.is_empty() && !pvd.addresses.is_empty()).await;
        for _ in 0..3 {
            let won = race(&Options::default()).await.unwrap();
            assert_eq!(won.pvd.id, free_id, "{}", won.story);
        }
    });
}

/// `dnsZones`: the network whose servers know the zone has the first attempt, whether or not it leads to the Internet.
#[test]
fn a_race_begins_in_the_network_that_knows_the_zone() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let answer = |request: &HttpRequest| match request.line.contains("pvd") {
            true => pvd_json(information(ID, json!({"noInternet": true, "dnsZones": ["Web.example."]}))),
            false => Reply::document("text/plain", ""),
        };
        let identity = || authority.vouch(&["web.example", ID]);
        let free = Network::new(&universe, 1, "free.example", identity(), answer).await;
        let inner = Network::new(&universe, 2, ID, identity(), answer).await;
        let served = served_trusting(&universe, &authority).await;
        free.send(free.content());
        let free_id = format!("implicit:eth1:ipv6:{}", free.cable.far().link_local());
        served.pvd_where(&free_id, |pvd| !pvd.dns_servers.is_empty() && !pvd.addresses.is_empty()).await;
        inner.advertise(HTTP, 7, ID);
        served.pvd_where(ID, informed).await;
        for _ in 0..3 {
            let options = Options::default();
            let race = connect(&served.connection, "web.example", 443, &options);
            let won = completes("the end of the race", race).await.unwrap();
            assert_eq!(won.pvd.id, ID, "{}", won.story);
            let request = NameRequest::new("WEB.example", 443);
            let call = connect_to_name(&served.connection, &request);
            let connected = completes("the reply", call).await.unwrap();
            assert_eq!(connected.pvd_id, ID, "{}", connected.story.join("\n"));
        }
    });
}
