//! Which provisioning domain is meant.

use std::collections::HashSet;
use std::net::IpAddr;

use mif::{Interface, ProvisioningDomain, State};

use crate::failure::Failure;
use crate::format;

/// How many suggestions are made.
const SUGGESTIONS: usize = 8;

/// The PvDs that a word on the command line means: an object path, an Id (letter case and a final dot do not
/// matter; one Id may be on several interfaces), or the name of an interface, for all its PvDs.
///
/// # Errors
/// [`Failure::NoSuchPvd`] with what is near; [`Failure::NoPvdThere`] for an interface without any.
pub fn select<'a>(state: &'a State, given: &str) -> Result<Vec<&'a ProvisioningDomain>, Failure> {
    let exact = by_path_or_id(state, given);
    if !exact.is_empty() {
        return Ok(exact);
    }
    match interface_named(state, given) {
        Some(interface) if interface.pvds.is_empty() => {
            Err(Failure::NoPvdThere { interface: given.to_owned(), wanted: "" })
        }
        Some(interface) => Ok(interface.pvds.iter().collect()),
        None => Err(Failure::NoSuchPvd { given: given.to_owned(), candidates: suggestions(state, given) }),
    }
}

/// The one PvD that a word means, for an address that is to be reached in it.
///
/// # Errors
/// As [`select`]; [`Failure::Ambiguous`] with the candidates.
pub fn select_one<'a>(
    state: &'a State,
    given: &str,
    address: IpAddr,
) -> Result<&'a ProvisioningDomain, Failure> {
    let meant = select(state, given)?;
    // Named outright: whether it has that family is for the service to say.
    if let [only] = by_path_or_id(state, given)[..] {
        return Ok(only);
    }
    let fitting: Vec<&ProvisioningDomain> =
        meant.into_iter().filter(|pvd| pvd.family.includes(address)).collect();
    match fitting[..] {
        [only] => Ok(only),
        [] => Err(Failure::NoPvdThere {
            interface: given.to_owned(),
            wanted: if address.is_ipv4() { " for IPv4 addresses" } else { " for IPv6 addresses" },
        }),
        _ => Err(Failure::Ambiguous {
            given: given.to_owned(),
            candidates: fitting.into_iter().map(|pvd| candidate(state, given, pvd)).collect(),
        }),
    }
}

/// The one PvD that a word means, whatever it is for.
///
/// # Errors
/// As [`select`]; [`Failure::Ambiguous`] with the candidates.
pub fn select_only<'a>(state: &'a State, given: &str) -> Result<&'a ProvisioningDomain, Failure> {
    match select(state, given)?[..] {
        [only] => Ok(only),
        ref several => Err(Failure::Ambiguous {
            given: given.to_owned(),
            candidates: several.iter().map(|pvd| candidate(state, given, pvd)).collect(),
        }),
    }
}

/// What the words name of the state: interfaces (with all their PvDs, if any) and PvDs; everything when there are
/// no words.
///
/// # Errors
/// [`Failure::NoSuchPvd`] with what is near.
pub fn restrict(mut state: State, given: &[String]) -> Result<State, Failure> {
    if given.is_empty() {
        return Ok(state);
    }
    let (mut interfaces, mut pvds) = (HashSet::new(), HashSet::new());
    for word in given {
        let by_path = state.interfaces.iter().find(|interface| interface.path.as_str() == word);
        let interface = by_path.or_else(|| {
            if by_path_or_id(&state, word).is_empty() { interface_named(&state, word) } else { None }
        });
        match interface {
            Some(interface) => {
                interfaces.insert(interface.path.clone());
                pvds.extend(interface.pvds.iter().map(|pvd| pvd.path.clone()));
            }
            None => {
                for pvd in select(&state, word)? {
                    interfaces.insert(pvd.interface.clone());
                    pvds.insert(pvd.path.clone());
                }
            }
        }
    }
    state.interfaces.retain(|interface| interfaces.contains(&interface.path));
    for interface in &mut state.interfaces {
        interface.pvds.retain(|pvd| pvds.contains(&pvd.path));
    }
    Ok(state)
}

/// Everything that can stand for PvDs on the command line: Ids and names of interfaces.
pub fn names(state: &State) -> Vec<&str> {
    let mut all: Vec<&str> = state.pvds().map(|pvd| pvd.id.as_str()).collect();
    all.extend(state.interfaces.iter().filter(|it| !it.pvds.is_empty()).map(|it| it.name.as_str()));
    let mut seen = HashSet::new();
    all.retain(|name| seen.insert(*name));
    all
}

fn by_path_or_id<'a>(state: &'a State, given: &str) -> Vec<&'a ProvisioningDomain> {
    if given.starts_with('/') {
        return state.pvds().filter(|pvd| pvd.path.as_str() == given).collect();
    }
    let id = given.strip_suffix('.').unwrap_or(given);
    state.pvds().filter(|pvd| pvd.id.eq_ignore_ascii_case(id)).collect()
}

fn interface_named<'a>(state: &'a State, given: &str) -> Option<&'a Interface> {
    state
        .interfaces
        .iter()
        .find(|interface| interface.name == given)
        .or_else(|| state.interfaces.iter().find(|interface| interface.display_name == given))
}

/// One candidate as it can be typed, and what it is.
fn candidate(state: &State, given: &str, pvd: &ProvisioningDomain) -> String {
    let interface = state.interface_of(pvd).map_or("?", |interface| interface.name.as_str());
    let family = format::family(&pvd.family);
    if pvd.id.eq_ignore_ascii_case(given) {
        format!("{}  (on {interface}, {family})", pvd.path)
    } else {
        format!("{}  ({family})", pvd.id)
    }
}

/// What might have been meant: Ids and interface names that are near; when none is, those there are.
fn suggestions(state: &State, given: &str) -> Vec<String> {
    let all = names(state);
    let wanted = given.to_ascii_lowercase();
    let near: Vec<&str> =
        all.iter().copied().filter(|name| is_near(&wanted, &name.to_ascii_lowercase())).collect();
    let chosen = if near.is_empty() { all } else { near };
    chosen.into_iter().take(SUGGESTIONS).map(str::to_owned).collect()
}

/// One within the other, or few letters apart.
fn is_near(wanted: &str, name: &str) -> bool {
    let within = wanted.len() >= 3 && (name.contains(wanted) || wanted.contains(name));
    within || edit_distance(wanted, name) <= (wanted.chars().count() / 4).max(1)
}

/// How many letters have to be put in, left out or changed to get from one to the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::status::samples;

    fn v4() -> IpAddr {
        "192.0.2.80".parse().unwrap()
    }

    fn v6() -> IpAddr {
        "2001:db8::80".parse().unwrap()
    }

    #[test]
    fn a_pvd_is_named_by_path_id_or_interface() {
        let state = samples::two_isps();
        for given in ["/org/ietf/Mif1/pvd/11", "implicit:eth0:ipv4", "IMPLICIT:eth0:ipv4.", "eth0", "Office"]
        {
            let found = select_one(&state, given, v4()).unwrap();
            assert_eq!(found.id, "implicit:eth0:ipv4", "{given}");
        }
        assert_eq!(select(&state, "eth0").unwrap().len(), 2);
        assert_eq!(select_one(&state, "eth0", v6()).unwrap().id, "implicit:eth0:ipv6:fe80::1");
    }

    #[test]
    fn a_pvd_on_two_links_is_ambiguous_and_the_paths_tell_them_apart() {
        let state = samples::two_isps();
        let Err(Failure::Ambiguous { candidates, .. }) = select_one(&state, "isp.example", v6()) else {
            panic!()
        };
        assert_eq!(
            candidates,
            ["/org/ietf/Mif1/pvd/13  (on eth1, IPv6)", "/org/ietf/Mif1/pvd/14  (on wlan0, IPv6)"]
        );
    }

    #[test]
    fn near_names_are_suggested() {
        let state = samples::two_isps();
        let near = |given: &str| match select(&state, given) {
            Err(Failure::NoSuchPvd { candidates, .. }) => candidates,
            other => panic!("{other:?}"),
        };
        assert_eq!(near("eth2"), ["eth0", "eth1"]);
        assert_eq!(near("implicit:eth0:ipv5")[0], "implicit:eth0:ipv4");
        assert_eq!(near("zzzzzzzz").len(), 6, "all, when none is near");
    }

    #[test]
    fn an_interface_without_the_family_is_told_so() {
        let state = samples::two_isps();
        let failure = select_one(&state, "eth1", v4()).unwrap_err();
        assert_eq!(failure.to_string(), "eth1 has no provisioning domain for IPv4 addresses");
        let failure = select(&state, "lo").unwrap_err();
        assert_eq!(failure.to_string(), "lo has no provisioning domain");
    }

    #[test]
    fn a_state_is_restricted_to_interfaces_and_pvds() {
        let shown = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let state = restrict(samples::two_isps(), &words).unwrap();
            let of = |it: &Interface| format!("{}:{}", it.name, it.pvds.len());
            state.interfaces.iter().map(of).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&["eth0"]), "eth0:2");
        assert_eq!(shown(&["implicit:eth0:ipv4"]), "eth0:1");
        assert_eq!(shown(&["lo"]), "lo:0", "an interface without PvDs");
        assert_eq!(shown(&["lo", "isp.example"]), "lo:0 eth1:1 wlan0:1");
        let failure = restrict(samples::two_isps(), &["eth7".to_owned()]).unwrap_err();
        assert!(matches!(failure, Failure::NoSuchPvd { .. }), "{failure:?}");
    }

    #[test]
    fn distances() {
        assert_eq!(edit_distance("eth0", "eth0"), 0);
        assert_eq!(edit_distance("eth0", "eth1"), 1);
        assert_eq!(edit_distance("eth", "wlan"), 4);
        assert_eq!(edit_distance("", "abc"), 3);
    }
}
