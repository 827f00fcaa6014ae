//! BindSocket: which sockets, which source.

use super::*;

const RULES: SocketRules = SocketRules { first_unprivileged_port: 1024, mark_mask: 0xff00_ffff };

/// A socket as `socket(2)` gives it.
fn fresh(family: AddressFamily) -> CallerSocket {
    CallerSocket {
        family: Some(family),
        kind: Some(SocketKind::Tcp),
        local: None,
        connected: false,
        listening: false,
        device: 0,
        mark: 0,
        in_own_namespace: true,
    }
}

fn ipv4() -> CallerSocket {
    fresh(AddressFamily::Ipv4)
}

/// Binding in PvD 11 of `two_links`.
fn bind_11(socket: &CallerSocket, request: &BindRequest) -> Result<BindPlan, Refusal> {
    super::super::bind(&snapshot(&two_links()), Serial(11), socket, request, RULES)
}

fn refused(socket: &CallerSocket, request: &BindRequest) -> (Refusal, String) {
    let refusal = bind_11(socket, request).unwrap_err();
    let message = refusal.to_string();
    (refusal, message)
}

fn to(destination: &str) -> BindRequest {
    BindRequest { destination: Some(ip(destination)), ..BindRequest::default() }
}

fn from(source: &str) -> BindRequest {
    BindRequest { source: Some(ip(source)), ..BindRequest::default() }
}

#[test]
fn a_socket_gets_device_and_source() {
    let plan = bind_11(&ipv4(), &BindRequest::default()).unwrap();
    assert_eq!((plan.pvd, plan.ifindex, plan.device.as_str()), (Serial(11), 1, "e1"));
    assert_eq!(plan.sources, ["192.0.2.10:0".parse().unwrap()]);
    assert!(plan.late_port);
    let udp = CallerSocket { kind: Some(SocketKind::Udp), ..ipv4() };
    assert!(!bind_11(&udp, &BindRequest::default()).unwrap().late_port);
    let with_port = BindRequest { local_port: 8080, ..from("192.0.2.10") };
    let plan = bind_11(&ipv4(), &with_port).unwrap();
    assert_eq!((plan.sources[0], plan.late_port), ("192.0.2.10:8080".parse().unwrap(), false));
}

#[test]
fn sockets_that_are_not_fresh() {
    let local = "192.0.2.10:4000".parse().unwrap();
    for (socket, bad, told) in [
        (CallerSocket { family: None, ..ipv4() }, BadSocket::NotInternet, "AF_INET6"),
        (CallerSocket { kind: None, ..ipv4() }, BadSocket::Protocol, "TCP, MPTCP or UDP"),
        (CallerSocket { local: Some(local), ..ipv4() }, BadSocket::Bound(local), "192.0.2.10:4000"),
        (CallerSocket { local: Some(local), connected: true, ..ipv4() }, BadSocket::Connected, "connected"),
        (CallerSocket { local: Some(local), listening: true, ..ipv4() }, BadSocket::Listening, "listens"),
        (CallerSocket { device: 7, ..ipv4() }, BadSocket::OnDevice(7), "index 7"),
        (
            CallerSocket { mark: 0x00ff_0001, ..ipv4() },
            BadSocket::Marked(0x00ff_0001, 0xff00_ffff),
            "0xff0001",
        ),
        (
            fresh(AddressFamily::Ipv6),
            BadSocket::OtherFamily("implicit:e1:ipv4".into(), AddressFamily::Ipv6),
            "of IPv6, which implicit:e1:ipv4 does not provide",
        ),
    ] {
        let (refusal, message) = refused(&socket, &BindRequest::default());
        assert_eq!(refusal, Refusal::SocketNotUsable(bad));
        assert!(message.contains(told), "{message}");
    }
    // Whatever else is wrong with it: what it says is of another network.
    let foreign = CallerSocket { in_own_namespace: false, local: Some(local), ..ipv4() };
    assert_eq!(refused(&foreign, &BindRequest::default()).0, Refusal::ForeignNamespace);
}

#[test]
fn bits_outside_the_mask_stay() {
    let marked = CallerSocket { mark: 0x00ab_0000, ..ipv4() };
    assert_eq!(bind_11(&marked, &BindRequest::default()).unwrap().foreign_mark, 0x00ab_0000);
    // A service that marks nothing leaves every mark as it is.
    let unmarking = SocketRules { mark_mask: 0, ..RULES };
    let marked = CallerSocket { mark: 0xcd00_0001, ..ipv4() };
    let state = snapshot(&two_links());
    let plan = super::super::bind(&state, Serial(11), &marked, &BindRequest::default(), unmarking);
    assert_eq!(plan.unwrap().foreign_mark, 0xcd00_0001);
}

#[test]
fn low_ports_are_for_the_privileged() {
    for port in [1, 80, 1023] {
        let (refusal, message) =
            refused(&ipv4(), &BindRequest { local_port: port, ..BindRequest::default() });
        assert_eq!(refusal, Refusal::InvalidArgs(Invalid::PrivilegedPort { port, first: 1024 }));
        assert!(message.contains(&port.to_string()) && message.contains("1024"), "{message}");
    }
    for port in [1024, 65535] {
        assert!(bind_11(&ipv4(), &BindRequest { local_port: port, ..BindRequest::default() }).is_ok());
    }
}

#[test]
fn wrong_sources_and_destinations() {
    let (refusal, message) = refused(&ipv4(), &from("198.51.100.10"));
    assert!(matches!(refusal, Refusal::SourceNotValid(BadSource::NotOfPvd(..))));
    assert!(message.contains("198.51.100.10"), "{message}");
    let dual = pvd(1, 1, Family::Dual, &["192.0.2.10/24", "2001:db8::1/64"], &[]);
    let state = snapshot(&[dual]);
    let refusal = super::super::bind(&state, Serial(1), &ipv4(), &from("2001:db8::1"), RULES).unwrap_err();
    assert_eq!(refusal.to_string(), "source 2001:db8::1 is not for an IPv4 socket: give one of its family");
    let (refusal, message) = refused(&ipv4(), &to("2001:db8::1"));
    assert!(matches!(refusal, Refusal::InvalidArgs(Invalid::OtherFamily(..))));
    assert_eq!(message, "an IPv4 socket cannot reach 2001:db8::1: give a destination of its family");
    for destination in
        ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.255", "198.51.100.10"]
    {
        let (refusal, message) = refused(&ipv4(), &to(destination));
        assert!(matches!(refusal, Refusal::InvalidArgs(Invalid::Destination(..))), "{message}");
    }
}

#[test]
fn a_destination_chooses_the_source() {
    let mut domain = pvd(1, 1, Family::Ipv6, &["2001:db8:1::1/64", "2001:db8:2::1/64", "fe80::7/64"], &[]);
    domain.addresses[0].temporary = true;
    let state = snapshot(&[domain]);
    let socket = fresh(AddressFamily::Ipv6);
    let first = |request: &BindRequest| {
        super::super::bind(&state, Serial(1), &socket, request, RULES).unwrap().sources[0].to_string()
    };
    assert_eq!(first(&to("2001:db8:2::9")), "[2001:db8:1::1]:0", "rule 7 goes before rule 8");
    assert_eq!(first(&to("fe80::9")), "[fe80::7%1]:0", "rule 2; with its link");
    assert_eq!(first(&BindRequest::default()), "[2001:db8:1::1]:0");
}

#[test]
fn without_an_aim_the_widest_preferred_temporary_address_is_first() {
    let addresses = ["2001:db8::1/64", "2001:db8::2/64", "2001:db8::3/64", "fe80::7/64"];
    let mut domain = pvd(1, 1, Family::Ipv6, &addresses, &[]);
    domain.addresses[0].state = AddressState::Deprecated;
    domain.addresses[0].temporary = true;
    domain.addresses[2].temporary = true;
    let order = |domain: &Pvd| {
        let state = snapshot(std::slice::from_ref(domain));
        let socket = fresh(AddressFamily::Ipv6);
        let plan = super::super::bind(&state, Serial(1), &socket, &BindRequest::default(), RULES).unwrap();
        plan.sources.iter().map(|source| source.ip().to_string()).collect::<Vec<_>>()
    };
    // A preferred one of a narrow scope goes before a deprecated one.
    assert_eq!(order(&domain), ["2001:db8::3", "2001:db8::2", "fe80::7", "2001:db8::1"]);
    domain.addresses[1].state = AddressState::Tentative;
    assert_eq!(order(&domain), ["2001:db8::3", "fe80::7", "2001:db8::1"]);
}

#[test]
fn a_link_that_is_down_or_shared_or_gone() {
    let mut down = two_links();
    down[0].link_up = false;
    let any = BindRequest::default();
    let refusal = super::super::bind(&snapshot(&down), Serial(11), &ipv4(), &any, RULES).unwrap_err();
    assert!(matches!(refusal, Refusal::NetworkUnreachable(Unreachable::InterfaceDown(_))));
    let mut shared = two_links().to_vec();
    shared.push(pvd(13, 1, Family::Ipv4, &["203.0.113.10/24"], &[]));
    let refusal = super::super::bind(&snapshot(&shared), Serial(11), &ipv4(), &any, RULES).unwrap_err();
    assert!(matches!(refusal, Refusal::NotSupported(NotSupported::SeveralPvds(..))));
    let refusal = super::super::bind(&snapshot(&down), Serial(99), &ipv4(), &any, RULES).unwrap_err();
    assert_eq!(refusal, Refusal::PvdGone(Serial(99)));
}

prop_compose! {
    fn any_socket()(
        family in prop::option::of(prop::sample::select(vec![AddressFamily::Ipv4, AddressFamily::Ipv6])),
        kind in prop::option::of(prop::sample::select(vec![SocketKind::Tcp, SocketKind::Mptcp, SocketKind::Udp])),
        bound in any::<bool>(),
        (connected, listening, in_own_namespace) in any::<(bool, bool, bool)>(),
        device in 0_u32..2,
        mark in prop::sample::select(vec![0, 1, 0x00ab_0000, 0xff00_0000]),
    ) -> CallerSocket {
        let local = bound.then(|| "192.0.2.10:9".parse().unwrap());
        CallerSocket { family, kind, local, connected, listening, device, mark, in_own_namespace }
    }
}

proptest! {
    /// Whatever socket it is: it is fresh and of this network, or it is refused; and what it gets is of this
    /// provisioning domain.
    #[test]
    fn only_fresh_sockets_are_bound_and_to_one_domain(
        socket in any_socket(),
        which in 0_usize..3,
        source in prop::option::of(prop::sample::select(vec!["192.0.2.10", "198.51.100.10", "2001:db8:1::11"])),
        destination in prop::option::of(prop::sample::select(vec!["203.0.113.1", "2001:db8:9::1"])),
    ) {
        let domains = two_links();
        let request = BindRequest {
            source: source.map(ip), destination: destination.map(ip), local_port: 0,
        };
        let pvd = &domains[which];
        if let Ok(plan) = super::super::bind(&snapshot(&domains), pvd.serial, &socket, &request, RULES) {
            prop_assert!(socket.in_own_namespace && socket.local.is_none() && socket.device == 0);
            prop_assert!(!socket.connected && !socket.listening);
            prop_assert_eq!(socket.mark & RULES.mark_mask, 0);
            prop_assert_eq!(plan.foreign_mark, socket.mark);
            prop_assert_eq!(plan.ifindex, pvd.ifindex);
            prop_assert!(!plan.sources.is_empty());
            for source in &plan.sources {
                prop_assert!(pvd.usable_addresses().any(|own| own.address == source.ip()));
                prop_assert_eq!(Some(AddressFamily::of(source.ip())), socket.family);
            }
        }
    }
}
