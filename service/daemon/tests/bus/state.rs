//! The state face: what is there, how it is found, and what is refused.

use crate::heard::Heard;
use crate::rig::{DEADLINE, ETH0, ETH1, INTERFACE, MANAGER, OBJECT_MANAGER, PROPERTIES, PVD, ROOT, Rig};
use crate::rig::{address, down, gone, lease, one_link, up, with_service};
use mif_core::event::{Address, Event};
use mifd::clock;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use zbus::{Message, OwnedObjectPath, OwnedVariant};

type Fields = BTreeMap<String, OwnedVariant>;
type Objects = BTreeMap<String, BTreeMap<String, Fields>>;

async fn managed_objects(rig: &mut Rig) -> (Message, Objects) {
    let reply = rig.call(ROOT, OBJECT_MANAGER, "GetManagedObjects", &()).await.unwrap();
    let objects: HashMap<OwnedObjectPath, BTreeMap<String, Fields>> = reply.body().deserialize().unwrap();
    let objects = objects.into_iter().map(|(path, interfaces)| (path.to_string(), interfaces)).collect();
    (reply, objects)
}

/// What GetManagedObjects says is what GetAll says of each object; from the cache it says the same.
async fn check_managed_objects(rig: &mut Rig) -> Vec<String> {
    let (fresh, objects) = managed_objects(rig).await;
    for (path, interfaces) in &objects {
        assert_eq!(interfaces.len(), 1, "{path}");
        for (interface, fields) in interfaces {
            let reply = rig.call(path, PROPERTIES, "GetAll", interface).await.unwrap();
            let all: Fields = reply.body().deserialize().unwrap();
            assert_eq!(*fields, all, "{path}");
        }
    }
    let (cached, _) = managed_objects(rig).await;
    assert_eq!(fresh.body().data().bytes(), cached.body().data().bytes());
    assert_eq!(fresh.body().signature(), cached.body().signature());
    objects.into_keys().collect()
}

async fn text(rig: &mut Rig, path: &str, interface: &str, property: &str) -> String {
    let reply = rig.call(path, PROPERTIES, "Get", &(interface, property)).await.unwrap();
    let value: OwnedVariant = reply.body().deserialize().unwrap();
    String::try_from(value).unwrap()
}

#[test]
fn managed_objects_are_all_objects_now() {
    with_service(one_link(), |mut rig| async move {
        let first = check_managed_objects(&mut rig).await;
        assert_eq!(
            first,
            ["interface/1000", "interface/1001", "pvd/1000"].map(|short| format!("{ROOT}/{short}"))
        );
        rig.happen([up(ETH1), address(ETH1, 9)]).await;
        rig.until(|heard| heard.words() == "PropertiesChanged interface/1002 ProvisioningDomains").await;
        assert_eq!(check_managed_objects(&mut rig).await.len(), 5);
        rig.happen([lease(ETH0, "192.0.2.54"), down(ETH1)]).await;
        rig.until(|heard| heard.words().starts_with("PropertiesChanged interface/1002 ")).await;
        assert_eq!(text(&mut rig, &format!("{ROOT}/interface/1002"), INTERFACE, "State").await, "down");
        assert_eq!(check_managed_objects(&mut rig).await.len(), 5);
        rig.happen([gone(ETH0)]).await;
        rig.until(|heard| heard.words() == "InterfacesRemoved interface/1001").await;
        assert_eq!(check_managed_objects(&mut rig).await.len(), 3);
    });
}

#[test]
fn interfaces_are_found_by_number_and_name() {
    with_service(one_link(), |mut rig| async move {
        let found = rig.interface(ETH0).await;
        let reply = rig.call(ROOT, MANAGER, "GetInterfaceByName", &"eth0").await.unwrap();
        assert_eq!(reply.body().deserialize::<OwnedObjectPath>().unwrap().as_str(), found);
        assert_eq!(text(&mut rig, &found, INTERFACE, "Name").await, "eth0");
        let (name, message) = rig.call(ROOT, MANAGER, "GetInterfaceByIndex", &77_u32).await.unwrap_err();
        assert_eq!(name, "org.ietf.Mif1.Error.NoSuchInterface");
        assert!(message.contains("77"), "{message}");
        let (name, message) =
            rig.call(ROOT, MANAGER, "GetInterfaceByName", &"--help\u{1b}[2J").await.unwrap_err();
        assert_eq!(name, "org.ietf.Mif1.Error.NoSuchInterface");
        assert!(message.contains("--help\\027[2J"), "{message}");
    });
}

#[test]
fn provisioning_domains_are_found_by_id_and_address() {
    with_service(one_link(), |mut rig| async move {
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        assert_eq!(text(&mut rig, &pvd, PVD, "Id").await, "implicit:eth0:ipv4");
        for (method, argument, found) in [
            ("GetProvisioningDomainsByAddress", "192.0.2.1", true),
            ("GetProvisioningDomainsByAddress", "192.0.2.2", false),
            ("GetProvisioningDomainsByAddress", "2001:db8::1", false),
            ("GetProvisioningDomainsById", "implicit:eth0:ipv6", false),
            ("GetProvisioningDomainsById", "IMPLICIT:ETH0:IPV4", false),
            ("GetProvisioningDomainsById", "", false),
        ] {
            let reply = rig.call(ROOT, MANAGER, method, &argument).await.unwrap();
            let paths: Vec<OwnedObjectPath> = reply.body().deserialize().unwrap();
            assert_eq!(!paths.is_empty(), found, "{method} {argument}");
        }
    });
}

#[test]
fn configuration_data_by_element_and_identifier() {
    with_service(one_link(), |mut rig| async move {
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        for element in ["any", "dhcpv4"] {
            let call = (element, "dns-servers");
            let reply = rig.call(&pvd, PVD, "GetConfigurationData", &call).await.unwrap();
            let value: OwnedVariant = reply.body().deserialize().unwrap();
            assert_eq!(Vec::<String>::try_from(value).unwrap(), ["192.0.2.53"], "{element}");
        }
        let reply = rig.call(&pvd, PVD, "GetAllConfigurationData", &"dhcpv4").await.unwrap();
        let all: Fields = reply.body().deserialize().unwrap();
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            ["dns-servers", "lease-expires", "prefixes", "search-domains", "told-by"]
        );
        let reply = rig.call(&pvd, PVD, "GetAllConfigurationData", &"ra").await.unwrap();
        assert!(reply.body().deserialize::<Fields>().unwrap().is_empty());
        for (element, identifier) in [("any", "mtu"), ("ra", "dns-servers"), ("any", "captive")] {
            let call = (element, identifier);
            let (name, message) = rig.call(&pvd, PVD, "GetConfigurationData", &call).await.unwrap_err();
            assert_eq!(name, "org.ietf.Mif1.Error.NoConfigurationData");
            assert!(message.contains(identifier), "{message}");
        }
    });
}

/// The address of the first link, valid for so many seconds.
fn valid_for(seconds: u64) -> Event {
    let valid_until = clock::now().after(Duration::from_secs(seconds));
    let Event::Address(address) = address(ETH0, 1) else { unreachable!("it is an address") };
    Event::Address(Address { preferred_until: valid_until, valid_until, permanent: false, ..address })
}

/// Until when that address is valid, asked in two ways.
async fn valid_until(rig: &mut Rig, pvd: &str) -> u64 {
    let (_, objects) = managed_objects(rig).await;
    let all = objects[pvd][PVD]["AddressLifetimes"].clone();
    let reply = rig.call(pvd, PROPERTIES, "Get", &(PVD, "AddressLifetimes")).await.unwrap();
    let one: OwnedVariant = reply.body().deserialize().unwrap();
    assert_eq!(all, one);
    HashMap::<String, (u64, u64)>::try_from(one).unwrap()["192.0.2.1"].1
}

#[test]
fn an_address_that_is_refreshed_is_told_to_nobody_and_seen_by_who_asks() {
    with_service(one_link(), |mut rig| async move {
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        rig.happen([valid_for(1_000)]).await;
        let first = valid_until(&mut rig, &pvd).await;
        rig.happen([valid_for(2_000)]).await;
        let second = valid_until(&mut rig, &pvd).await;
        assert!(first < second, "{first} {second}");
        // Whether or not somebody asks in between, the next change is one of the state at its time.
        rig.happen([valid_for(3_000)]).await;
        rig.happen([lease(ETH0, "192.0.2.54")]).await;
        let third = valid_until(&mut rig, &pvd).await;
        assert!(second < third, "{second} {third}");
        let heard = rig.until(|heard| heard.words().starts_with("PropertiesChanged pvd/1000 ")).await;
        let signals: Vec<String> = heard.iter().map(Heard::words).collect();
        assert_eq!(signals, ["PropertiesChanged pvd/1000 ConfigurationRevision DnsServers"]);
    });
}

#[test]
fn the_manager_says_what_it_is() {
    with_service(one_link(), |mut rig| async move {
        let reply = rig.call(ROOT, PROPERTIES, "GetAll", &MANAGER).await.unwrap();
        let mut fields: Fields = reply.body().deserialize().unwrap();
        let mut take = |name: &str| fields.remove(name).unwrap();
        assert_eq!(String::try_from(take("Version")).unwrap(), env!("CARGO_PKG_VERSION"));
        assert_eq!(u32::try_from(take("InterfaceVersion")).unwrap(), 1);
        assert_eq!(Vec::<String>::try_from(take("Features")).unwrap(), ["connect"]);
        assert_eq!(u64::try_from(take("NamespaceId")).unwrap(), 4_026_531_840);
        let limits: BTreeMap<String, u32> = BTreeMap::try_from(take("Limits")).unwrap();
        for (key, limit) in [
            ("subscribers-per-client", 8),
            ("subscribers-per-user", 64),
            ("translations-per-client", 64),
            ("translations-per-user", 256),
            ("connections-per-client", 32),
            ("connections-per-user", 128),
            ("requests-per-subscriber", 64),
            ("addresses-per-translation", 64),
            ("name-length", 1024),
            ("unclaimed-timeout", 30_000),
            ("objects", 32_768),
            ("pvds-per-interface", 32),
            ("addresses-per-pvd", 64),
            ("servers-per-pvd", 32),
            ("domains-per-pvd", 64),
            ("routers-per-pvd", 16),
        ] {
            assert_eq!(limits[key], limit, "{key}");
        }
        assert_eq!(limits.len(), 16);
        let defaults = Vec::<OwnedObjectPath>::try_from(take("DefaultProvisioningDomains")).unwrap();
        let defaults: Vec<&str> = defaults.iter().map(|path| path.as_str()).collect();
        assert_eq!(defaults, [rig.pvd("implicit:eth0:ipv4").await]);
    });
}

#[test]
fn an_object_that_went_is_unknown() {
    with_service(one_link(), |mut rig| async move {
        let (interface, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        rig.happen([gone(ETH0)]).await;
        rig.until(|heard| heard.words() == "InterfacesRemoved interface/1001").await;
        for (path, own) in [(&interface, INTERFACE), (&pvd, PVD)] {
            let (name, message) = rig.call(path, PROPERTIES, "GetAll", &own).await.unwrap_err();
            assert_eq!(name, "org.freedesktop.DBus.Error.UnknownObject");
            assert!(message.contains(path.as_str()), "{message}");
        }
        let (name, _) = rig.call(&pvd, PVD, "GetAllConfigurationData", &"any").await.unwrap_err();
        assert_eq!(name, "org.freedesktop.DBus.Error.UnknownObject");
    });
}

#[test]
fn changes_of_an_object_are_told_at_once_and_then_together() {
    with_service(one_link(), |mut rig| async move {
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        let servers = ["192.0.2.60", "192.0.2.61", "192.0.2.62", "192.0.2.63"];
        let begin = std::time::Instant::now();
        for server in servers {
            rig.happen([lease(ETH0, server)]).await;
        }
        let mut told = Vec::new();
        while told.last().map(String::as_str) != Some("192.0.2.63") {
            assert!(begin.elapsed() < DEADLINE);
            let heard = rig.next().await;
            assert_eq!((heard.what.as_str(), heard.path.as_str()), ("PropertiesChanged", pvd.as_str()));
            let (_, mut changed) = heard.changed();
            assert_eq!(changed.keys().collect::<Vec<_>>(), ["ConfigurationRevision", "DnsServers"]);
            let servers = Vec::<String>::try_from(changed.remove("DnsServers").unwrap()).unwrap();
            told.extend(servers);
        }
        // On a machine that stalls, the four may take longer than one interval.
        let intervals = usize::try_from(begin.elapsed().as_millis() / 250).unwrap();
        assert_eq!(told[0], "192.0.2.60");
        assert!(intervals > 0, "the last one is not held back");
        assert!(told.len() <= intervals + 1, "{told:?} in {intervals} intervals");
    });
}

#[test]
fn what_is_held_back_is_told_however_busy_the_service_is() {
    with_service(one_link(), |mut rig| async move {
        let flood = rig.flood();
        rig.happen([lease(ETH0, "192.0.2.60")]).await;
        rig.happen([lease(ETH0, "192.0.2.61")]).await;
        for server in ["192.0.2.60", "192.0.2.61"] {
            let heard = rig.until(|heard| heard.what == "PropertiesChanged").await.pop().unwrap();
            let servers = heard.changed().1.remove("DnsServers").unwrap();
            assert_eq!(Vec::<String>::try_from(servers).unwrap(), [server]);
        }
        assert!(!flood.is_finished());
        flood.abort();
    });
}
