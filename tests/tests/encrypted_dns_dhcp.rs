//! Encrypted DNS that a DHCP server announces (RFC 9463 4 and 5): told by a client, or to this service itself.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use mif::{ErrorKind, ProvisioningDomain, TranslateOptions, Translation};
use mif_tests::daemons::{Dhclient, Dnsmasq};
use mif_tests::dns::{DnsServer, Reply};
use mif_tests::encrypted_dns::{Authority, EncryptedDns};
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::topology::DhcpProvider;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::completes;

/// The authentication domain name of the resolver.
const NAME: &str = "dns.test";
/// Option 162: one resolver of priority 1, its name, 192.0.2.53, and ALPN "dot".
const OPTION_162: &str = "--dhcp-option-force=162,00:1a:00:01:0a:03:64:6e:73:04:74:65:73:74:00:04:c0:00:02:35:00:01:00:04:\
                          03:64:6f:74";

/// What answers at the address of the resolver: in the clear, to see that nobody comes, and encrypted.
struct Resolver {
    address: IpAddr,
    authority: Authority,
    plain: DnsServer,
}

impl Resolver {
    fn on(provider: &DhcpProvider, address: &str, length: u8) -> Self {
        provider.cable.far().add_address(&format!("{address}/{length}"));
        let address = address.parse().unwrap();
        let lie = Reply::addresses(["192.0.2.66".parse::<IpAddr>().unwrap()]);
        let plain = DnsServer::on(&provider.node, address, [("*.test", lie)]);
        Self { address, authority: Authority::new("the ISP"), plain }
    }

    async fn serve_host(&self, universe: &Universe) -> ServedHost {
        let config = format!("[dns]\ncertificates = {:?}\n", self.authority.file());
        ServedHost::start_with(universe, |settings| settings.config(&config)).await
    }

    fn encrypted(&self, provider: &DhcpProvider, certified: &str) -> EncryptedDns {
        let truth = Reply::addresses(["203.0.113.7".parse::<IpAddr>().unwrap()]);
        let certificate = self.authority.certify(certified);
        EncryptedDns::on(&provider.node, self.address, &certificate, [("*.test", truth)])
    }

    /// Who proves its name is asked, and nobody else.
    async fn check(&self, provider: &DhcpProvider, host: &ServedHost, pvd: &ProvisioningDomain) {
        let other = self.encrypted(provider, "other.test");
        let (kind, text) = refusal(translate(host, pvd).await);
        assert_eq!(kind, ErrorKind::ServerFailure, "{text}");
        assert!(host.mifd.process().log().contains("not valid for name"), "{text}");
        assert_eq!(other.questions(), []);
        other.stop();
        let server = self.encrypted(provider, NAME);
        let answers = translate(host, pvd).await.unwrap().answers;
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(answer.address.to_string(), "203.0.113.7");
        assert_eq!((answer.transport.as_deref(), answer.encrypted), (Some("dot"), true), "{answer:?}");
        assert_eq!(answer.server, Some(self.address.to_string()));
        let asked = server.questions();
        assert_eq!(asked.iter().filter(|(_, question)| question.name == "www.test").count(), 2, "{asked:?}");
        assert_eq!(self.plain.questions(), []);
    }
}

async fn translate(host: &ServedHost, pvd: &ProvisioningDomain) -> mif::Result<Translation> {
    let options = TranslateOptions::default();
    let asking = mif::translate_name(&host.connection, &pvd.path, "www.test", &options);
    completes("a translation", asking).await
}

#[test]
fn a_resolver_of_option_162_is_asked_once_it_proves_its_name() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        let resolver = Resolver::on(&provider, "192.0.2.53", 24);
        Dnsmasq::on(&provider.node, "lan")
            .dhcp4("192.0.2.50", "192.0.2.52", "10m")
            .argument("--dhcp-option=option:dns-server,192.0.2.53")
            .argument(OPTION_162)
            .argument("--port=0")
            .start()
            .await;
        let host = resolver.serve_host(&universe).await;
        Dhclient::on(provider.cable.near()).start().await;
        let leased = |pvd: &ProvisioningDomain| DhcpProvider::leased(pvd, "192.0.2.53");
        let pvd = host.pvd_where("implicit:eth1:ipv4", leased).await;
        resolver.check(&provider, &host, &pvd).await;
    });
}

#[test]
fn a_resolver_of_option_144_is_asked_once_it_proves_its_name() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        let resolver = Resolver::on(&provider, "2001:db8:1::53", 64);
        provider.serve_stateless_ipv6("2001:db8:1::53").await;
        let host = resolver.serve_host(&universe).await;
        let id = format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local());
        let informed = |pvd: &ProvisioningDomain| {
            pvd.elements.contains(&mif::wire::Element::Dhcpv6) && !pvd.addresses.is_empty()
        };
        let pvd = host.pvd_where(&id, informed).await;
        resolver.check(&provider, &host, &pvd).await;
    });
}
