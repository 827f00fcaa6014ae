//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mif::BusChoice;
use mif::happy_eyeballs::Selector;

/// See and use the provisioning domains of this machine
///
/// A machine on several networks is in several provisioning domains (PvDs): each has its own addresses,
/// routers and DNS servers. mifctl asks the service mifd about them, over D-Bus.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, after_long_help = after_long_help(), subcommand_required = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub verb: Verb,
}

/// The examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  mifctl status                              what there is now
  mifctl monitor                             what comes and goes
  mifctl translate www.example.org           ask every PvD for a name
  mifctl explain eth0 192.0.2.80             how a connection would leave, and why
  mifctl connect www.example.org 443         connect by the first way that works
  mifctl connect --pvd eth0 192.0.2.80 22 -- sh -c 'cat <&3'
                                             only through eth0, and give it to a command
  mifctl get eth0 dns-servers                a value that a PvD was configured with";

/// What mifctl ends with, and what that means.
pub const EXIT_CODES: [(u8, &str); 8] = [
    (0, "done"),
    (1, "the request failed (no such name, connection refused, timed out ...)"),
    (2, "wrong usage"),
    (3, "the service or the bus cannot be reached"),
    (4, "no such provisioning domain, or more than one"),
    (5, "access denied"),
    (126, "the command after -- cannot be executed"),
    (127, "the command after -- is not found"),
];

fn after_long_help() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("\n  {code:<3}  {meaning}"));
    format!("{EXAMPLES}\n\nExit codes:{}", codes.concat())
}

const GLOBAL: &str = "Options of every verb";

#[derive(Debug, Clone, Args)]
pub struct GlobalOptions {
    /// Look for the service on the bus at this D-Bus address
    ///
    /// Without it: DBUS_SYSTEM_BUS_ADDRESS, else the system bus.
    #[arg(long, global = true, value_name = "ADDRESS", conflicts_with = "session", help_heading = GLOBAL)]
    pub bus: Option<String>,

    /// Look for the service on the session bus (mifd --session)
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub session: bool,

    /// Print JSON for programs
    ///
    /// Fields may be added, none is removed or changes its meaning. The help of each verb describes them.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,

    /// No colours, even on a terminal (the variable NO_COLOR does the same)
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub no_color: bool,
}

impl GlobalOptions {
    /// The bus to use.
    pub fn bus_choice(&self) -> BusChoice {
        match &self.bus {
            Some(address) => BusChoice::Address(address.clone()),
            None if self.session => BusChoice::Session,
            None => BusChoice::System,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show interfaces and provisioning domains as they are now
    #[command(long_about = STATUS_HELP)]
    Status(StatusArguments),

    /// List provisioning domains, one on each line
    #[command(long_about = LIST_HELP)]
    List(ListArguments),

    /// Show interfaces, PvDs, configuration elements and addresses as they come and go
    #[command(long_about = MONITOR_HELP)]
    Monitor,

    /// Translate a name in every provisioning domain, or in some
    #[command(long_about = TRANSLATE_HELP)]
    Translate(TranslateArguments),

    /// Tell how a connection would leave a provisioning domain, and why not otherwise
    #[command(long_about = EXPLAIN_HELP)]
    Explain(ExplainArguments),

    /// Connect to a name or address by the first provisioning domain that leads there, or by one
    #[command(long_about = CONNECT_HELP)]
    Connect(ConnectArguments),

    /// Show what a provisioning domain was configured with
    #[command(long_about = GET_HELP)]
    Get(GetArguments),

    /// Print a script that completes command lines in a shell
    #[command(long_about = COMPLETION_HELP)]
    Completion(CompletionArguments),

    /// Write the manual pages into a folder
    #[command(hide = true)]
    Manual(ManualArguments),
}

const STATUS_HELP: &str = "\
Show interfaces and provisioning domains as they are now: all of them, or those that are named.

Each interface is followed by its provisioning domains (PvDs): the Id; the origin (explicit: named by the \
network, RFC 8801; implicit: made up from what the link was configured with); the address family; the \
configuration elements it was configured by (ra, dhcpv4, dhcpv6, static, vpn ...); and whether programs \
that know nothing of PvDs use it (default). Then what it was configured with, as far as there is any: \
addresses and how long they last, servers, prefixes and routes, the DHCP lease, the captive portal, and what the \
network says of itself (RFC 8801).

With --json, one object:
  startup       bool: links are still being asked, PvDs may be missing
  features      what the service can do here (Manager.Features)
  default_provisioning_domains    paths
  interfaces    list of: path, ifindex, name, display_name, kind, state, provisioning_domains:
                list of: path, id, origin, family, default (bool), elements, addresses, dns_servers,
                search_domains, routers, configuration_revision, configuration;
                addresses: list of address, prefix_length, state, element (or null), temporary,
                preferred_seconds and valid_seconds (time left; null: for ever);
                configuration: what GetAllConfigurationData gives for \"any\", times as microseconds of
                CLOCK_BOOTTIME (null: the PvD has gone meanwhile)";

const MONITOR_HELP: &str = "\
Show interfaces, PvDs, configuration elements and addresses as they come and go.

What is there already comes first, then each change with its time of day, until Ctrl-C. When the service \
is restarted, monitor says so and starts again.

  +  came          -  went          ~  changed, or said again with other lifetimes

With --json, one object on each line:
  time          seconds since 1970
  event         interface, provisioning-domain, configuration-element, address, or service
  change        added, changed, removed; of the service: listed (what was there has been told), stopped,
                started, missed (messages were lost; everything is told again)
  interface, pvd                  paths
  id, name, kind, origin, family, element, address, prefix_length, preferred_seconds, valid_seconds
                where they apply (null seconds: for ever)";

const TRANSLATE_HELP: &str = "\
Translate a name in every provisioning domain, or in some, at the same time.

Each PvD is asked through its own servers, or its own link, only, so that the answers may differ. TIME is how \
long the whole answer of a PvD took, SERVER who gave it and BY how it was asked. Exits with 0 when at \
least one PvD has answered.

With --json, one object:
  name
  results       list of: pvd (path), id, interface (name), took_ms, and either
                addresses: list of address, source, ttl_seconds, server, transport, encrypted,
                synthesized (null: not told); canonical_name; truncated
                or error: name (of the D-Bus error), message";

const LIST_HELP: &str = "\
List provisioning domains, one on each line: Id, interface, family, origin, first address, DNS servers. On a \
terminal the lines are cut to its width; otherwise columns are parted by one tab, and there is no heading.

With --json, a list of: id, path, interface (name), family, origin, default (bool), addresses, dns_servers.";

const CONNECT_HELP: &str = "\
Connect to a name or address by the first provisioning domain that leads there, or by one.

The name is asked in every PvD at the same time; then addresses are tried in the order and at the pace of \
RFC 8305 (happy eyeballs), until one is connected. A PvD that does not answer costs a quarter of a second. \
--pvd, --prefer and --avoid say which PvDs to use; PvDs with a captive portal come last.

The socket is of this user, and bound to the PvD: it stays in it. Without a command mifctl says both ends and \
closes it. With a command, that is executed with the connected socket as its file descriptor 3.

Examples:
  mifctl connect www.example.org 443
  mifctl connect --avoid kind:wwan --story www.example.org 443
  mifctl connect --pvd implicit:eth0:ipv4 192.0.2.80 80 -- \\
      bash -c 'printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3'

With --json and without a command, one object: pvd (path), id, remote_address, remote_port, local_address, \
local_port, handshake_us (microseconds; null: not told), story (list of: at_ms, event; empty when one address \
was tried in one PvD).";

const GET_HELP: &str = "\
Show what a provisioning domain was configured with.

IDENTIFIER is one of the draft's configuration information identifiers: dns-servers, search-domains, \
domain-name, routers, routes, prefixes, mtu, ntp-servers, nis-servers, nis-domain, captive-portal, captive, \
pref64, encrypted-dns, lease-expires ... Without one, all values are shown.

A list is printed with one item on each line, and a dictionary as JSON. With --json: the value, or an object \
of all of them. Ends with 1 when there is no such value.";

const COMPLETION_HELP: &str = "\
Print a script that completes command lines in a shell, PvDs and interfaces of this machine included.

  bash   mifctl completion bash > /usr/share/bash-completion/completions/mifctl
  zsh    mifctl completion zsh > /usr/share/zsh/site-functions/_mifctl
         (on Debian and its relatives /usr/share/zsh/vendor-completions/_mifctl)
  fish   mifctl completion fish > /usr/share/fish/vendor_completions.d/mifctl.fish

To try it at once: source <(mifctl completion bash)";

#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Only these: names of interfaces, Ids of PvDs, object paths
    #[arg(value_name = "IFNAME|ID|PATH")]
    pub selected: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only what can stand for a PvD on the command line: Ids and interfaces (for shell completion)
    #[arg(long, hide = true)]
    pub names: bool,
}

#[derive(Debug, Args)]
pub struct GetArguments {
    /// The PvD: an Id, the name of an interface with one PvD, or an object path
    #[arg(value_name = "ID|PATH|IFNAME")]
    pub pvd: String,

    /// Which value; all of them without it
    pub identifier: Option<String>,

    /// What this configuration element said, instead of what the service uses: ra, dhcpv4, dhcpv6, static ...
    #[arg(long, value_name = "ELEMENT", default_value = "any")]
    pub element: String,
}

#[derive(Debug, Args)]
pub struct CompletionArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that completes command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

#[derive(Debug, Args)]
pub struct ManualArguments {
    /// Where to
    pub folder: std::path::PathBuf,
}

const EXPLAIN_HELP: &str = "\
Tell how a connection would leave a provisioning domain, and why not otherwise.

Every address of the PvD with the rule of RFC 6724 that put it in its place, every route with its router, and \
why a connection would be refused. Nothing is sent.

PVD is the Id of a PvD, the name of an interface that has exactly one PvD for this kind of address, or a \
D-Bus object path (see mifctl status).

With --json, one object: pvd (path), id, destination, source, device, ifindex, route, router, table, mark, \
mark_mask (null: none), error and message (null: nothing would be refused),
  candidates    list of: address, verdict (chosen, behind, not-usable, other-family, not-asked-for), rule
                (of RFC 6724 section 5; null: none), why
  routes        list of: destination, gateway (null: on-link), preference, verdict (chosen, less-specific,
                behind-on-link, silent, less-preferred, named-later, elsewhere), why";

#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The PvD: an Id, an interface name, or an object path
    pub pvd: String,

    /// The address that a connection would go to, without a zone
    #[arg(value_parser = address)]
    pub address: IpAddr,

    /// As if this address of the PvD were asked for as the source
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub source: Option<IpAddr>,
}

#[derive(Debug, Args)]
pub struct TranslateArguments {
    /// The name to translate
    pub name: String,

    /// Only in this PvD: an Id, an object path, or an interface name for all PvDs of that interface
    ///
    /// May be given several times. `all`, the default, is every PvD.
    #[arg(long = "pvd", value_name = "ID|PATH|IFNAME|all")]
    pub pvds: Vec<String>,

    /// Only addresses of this family
    #[arg(long, value_enum, default_value_t = FamilyChoice::Any)]
    pub family: FamilyChoice,

    /// Ask this system and no other: dns, hosts, mdns, llmnr or nis
    ///
    /// May be given several times. Without it the name decides: .local is for mdns, a single label for the search
    /// domains over dns, then llmnr, then nis, and everything else for dns, then nis; the host table always first.
    #[arg(long = "system", value_name = "SYSTEM", value_enum)]
    pub systems: Vec<SystemChoice>,

    /// Give up after so many milliseconds, at most 120000 [default: 10000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SystemChoice {
    /// DNS
    Dns,
    /// The host table
    Hosts,
    /// Multicast DNS
    Mdns,
    /// Link-local multicast name resolution
    Llmnr,
    /// NIS
    Nis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FamilyChoice {
    /// IPv4 and IPv6
    Any,
    /// IPv4 only
    Ipv4,
    /// IPv6 only
    Ipv6,
}

#[derive(Debug, Args)]
pub struct ConnectArguments {
    /// The name or address to connect to; an address without a zone
    #[arg(value_parser = host)]
    pub host: String,

    /// The port to connect to
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Only by this PvD: an Id, an object path, or the name of an interface
    #[arg(long, value_name = "ID|PATH|IFNAME")]
    pub pvd: Option<String>,

    /// First by these PvDs: an Id, interface:NAME, kind:KIND (wifi, wwan ...), or origin:explicit
    #[arg(long, value_name = "SELECTOR")]
    pub prefer: Vec<Selector>,

    /// By these PvDs only when nothing else works
    #[arg(long, value_name = "SELECTOR")]
    pub avoid: Vec<Selector>,

    /// Only addresses of this family
    #[arg(long, value_enum, default_value_t = FamilyChoice::Any)]
    pub family: FamilyChoice,

    /// Connect from this address of the PvD (with --pvd, to an address)
    #[arg(long, value_name = "ADDRESS", value_parser = address, requires = "pvd")]
    pub source: Option<IpAddr>,

    /// Give up after so many milliseconds, at most 120000 [default: 20000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub timeout: Option<Duration>,

    /// Tell what was asked, answered and tried, and when
    #[arg(long)]
    pub story: bool,

    /// Command to execute with the connected socket as file descriptor 3
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The longest time that the service gives a request, in milliseconds.
const LONGEST_TIMEOUT_MS: u32 = 120_000;

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(millis @ 1..=LONGEST_TIMEOUT_MS) => Ok(Duration::from_millis(millis.into())),
        _ => Err(format!("a number of milliseconds from 1 to {LONGEST_TIMEOUT_MS} is wanted, such as 2500")),
    }
}

/// What looks like an address has to be one.
fn host(text: &str) -> Result<String, String> {
    if text.contains('%') || text.contains(':') {
        return address(text).map(|address| address.to_string());
    }
    if text.is_empty() { Err("a name or an address is wanted".to_owned()) } else { Ok(text.to_owned()) }
}

fn address(text: &str) -> Result<IpAddr, String> {
    if text.contains('%') {
        return Err("no zone (%...) is needed: the PvD fixes the interface".to_owned());
    }
    text.parse().map_err(|_| "an IPv4 or IPv6 address is wanted".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("mifctl").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        for line in ["--json --bus unix:path=/b status", "status --json --bus unix:path=/b"] {
            let arguments = parse(line).unwrap();
            assert!(arguments.global.json);
            assert_eq!(arguments.global.bus_choice(), BusChoice::Address("unix:path=/b".into()));
        }
        assert_eq!(parse("status").unwrap().global.bus_choice(), BusChoice::System);
        assert_eq!(parse("status --session").unwrap().global.bus_choice(), BusChoice::Session);
        assert!(parse("status --session --bus unix:path=/b").is_err());
    }

    #[test]
    fn translate_takes_several_pvds_and_a_time() {
        let arguments = parse("translate www.example.org --pvd eth0 --pvd wlan0 --family ipv6 --timeout 500");
        let Verb::Translate(request) = arguments.unwrap().verb else { panic!() };
        assert_eq!(request.name, "www.example.org");
        assert_eq!(request.pvds, ["eth0", "wlan0"]);
        assert_eq!(request.family, FamilyChoice::Ipv6);
        assert_eq!(request.timeout, Some(Duration::from_millis(500)));
        assert!(parse("translate www.example.org --timeout 120000").is_ok());
        for request in ["translate www.example.org", "connect www.example.org 443"] {
            for wrong in ["0", "120001", "4294967296", "-1", "soon"] {
                let error = parse(&format!("{request} --timeout={wrong}")).unwrap_err();
                assert_eq!(error.exit_code(), 2);
                assert!(error.to_string().contains("from 1 to 120000"), "{request} {wrong}: {error}");
            }
        }
    }

    #[test]
    fn connect_takes_a_command_behind_two_dashes() {
        let arguments = parse("connect --pvd eth0 2001:db8::1 443 --source 2001:db8::2 -- cat --version");
        let Verb::Connect(request) = arguments.unwrap().verb else { panic!() };
        assert_eq!((request.host.as_str(), request.port), ("2001:db8::1", 443));
        assert_eq!(request.pvd.as_deref(), Some("eth0"));
        assert_eq!(request.source, Some("2001:db8::2".parse().unwrap()));
        assert_eq!(request.command, ["cat", "--version"]);
        let arguments = parse("connect www.example.org 443 --prefer kind:wifi --avoid home.example");
        let Verb::Connect(request) = arguments.unwrap().verb else { panic!() };
        assert_eq!(request.prefer, [Selector::Kind("wifi".into())]);
        assert_eq!(request.avoid, [Selector::Id("home.example".into())]);
    }

    #[test]
    fn wrong_addresses_and_ports_are_told_what_is_right() {
        let cases = [
            ("connect fe80::1%eth0 80", "zone"),
            ("connect 2001:db8::g 80", "IPv6 address"),
            ("connect 192.0.2.1 0", "1..=65535"),
            ("connect 192.0.2.1 70000", "1..=65535"),
            ("connect 192.0.2.1 80 --source 192.0.2.9", "--pvd"),
            ("connect 192.0.2.1 80 --prefer kind:", "kind:KIND"),
            ("completion csh", "bash"),
        ];
        for (line, told) in cases {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(told), "{line}: {error}");
        }
    }
}
