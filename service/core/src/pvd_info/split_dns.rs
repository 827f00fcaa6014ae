//! Split-DNS claims (RFC 9704 6): a network says over which names its resolvers have authority.
//!
//! A claim counts once its domain's owner confirms it in public DNS, over a way that the network cannot tamper with
//! (RFC 9704 6.1: an encrypted resolver outside of it, or DNSSEC). This service has no such way that would not lead
//! out of the provisioning domain, so that claims are shown, and obeyed by nobody.

use super::{MAX_CLAIMS, MAX_ZONES, name, names};
use crate::text;
use serde_json::Value;

/// The longest hash name or salt that is taken, in characters.
const MAX_TOKEN: usize = 128;

/// One claim, as the network makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitDnsClaim {
    /// The authentication domain name of the resolver, lower case, escaped.
    pub resolver: String,
    /// The domain that the names are in, lower case, escaped.
    pub parent: String,
    /// The names below `parent`; `*` stands for all of them.
    pub subdomains: Vec<String>,
    /// The hash that the owner's confirmation is made with.
    pub algorithm: String,
    /// The salt of that hash, as it is written (base64url).
    pub salt: String,
}

/// The claims in the value of `splitDnsClaims`; those that lack something are left out.
pub(super) fn read(claims: Option<&Value>) -> Vec<SplitDnsClaim> {
    let claims = claims.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    claims.iter().filter_map(claim).take(MAX_CLAIMS).collect()
}

fn claim(value: &Value) -> Option<SplitDnsClaim> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let token = |key: &str| {
        text(key).filter(|token| token.len() <= MAX_TOKEN).map(|token| text::escape(token.as_bytes()))
    };
    let subdomains = names(value.get("subdomains"), MAX_ZONES);
    (!subdomains.is_empty()).then_some(())?;
    Some(SplitDnsClaim {
        resolver: name(text("resolver")?)?,
        parent: name(text("parent")?)?,
        subdomains,
        algorithm: token("algorithm")?,
        salt: token("salt")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({"resolver": "DNS.corp.example.", "parent": "corp.example", "subdomains": ["*", "hr"],
               "algorithm": "SHA384", "salt": "abc"})
    }

    #[test]
    fn a_claim_is_read() {
        let claims = read(Some(&json!([good()])));
        assert_eq!(
            claims,
            [SplitDnsClaim {
                resolver: "dns.corp.example".into(),
                parent: "corp.example".into(),
                subdomains: vec!["*".into(), "hr".into()],
                algorithm: "SHA384".into(),
                salt: "abc".into(),
            }]
        );
    }

    #[test]
    fn what_lacks_something_is_left_out() {
        for key in ["resolver", "parent", "subdomains", "algorithm", "salt"] {
            for value in [json!(null), json!([]), json!("a..b"), json!("x".repeat(300))] {
                let mut claim = good();
                claim[key] = value.clone();
                let kept = read(Some(&json!([claim, good()]))).len();
                let harmless = matches!(key, "algorithm" | "salt") && value == json!("a..b");
                assert_eq!(kept, 1 + usize::from(harmless), "{key} = {value}");
            }
        }
        assert_eq!(read(Some(&json!(vec![good(); 40]))).len(), MAX_CLAIMS);
        assert!(read(None).is_empty() && read(Some(&json!({}))).is_empty());
    }
}
