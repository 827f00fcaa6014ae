//! Explain over the bus.

use crate::rig::{ETH0, PVD, address, one_link, options, with_service};
use std::collections::BTreeMap;
use zbus::OwnedVariant;

type Dict = BTreeMap<String, OwnedVariant>;

fn text(dict: &Dict, key: &str) -> String {
    String::try_from(dict[key].clone()).unwrap()
}

fn list(dict: &Dict, key: &str) -> Vec<Dict> {
    Vec::try_from(dict[key].clone()).unwrap()
}

#[test]
fn a_connection_is_explained_without_being_made() {
    with_service([one_link(), vec![address(ETH0, 9)]].concat(), |mut rig| async move {
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        let reply = rig.call(&pvd, PVD, "Explain", &("192.0.2.77", options::<&str>(&[]))).await.unwrap();
        let told: Dict = reply.body().deserialize().unwrap();
        assert_eq!(text(&told, "source"), "192.0.2.1");
        assert_eq!(
            (text(&told, "device"), u32::try_from(told["ifindex"].clone()).unwrap()),
            ("eth0".into(), ETH0)
        );
        assert_eq!(text(&told, "route"), "192.0.2.0/24");
        assert!(!told.contains_key("router") && !told.contains_key("message"), "{told:?}");
        let candidates = list(&told, "candidates");
        let verdicts: Vec<String> = candidates.iter().map(|it| text(it, "verdict")).collect();
        assert_eq!(verdicts, ["chosen", "behind"]);
        assert_eq!(text(&candidates[1], "address"), "192.0.2.9");
        assert!(text(&candidates[1], "why").contains("the smaller number"), "{candidates:?}");
        assert!(!candidates[1].contains_key("rule"), "no rule of the RFC");

        // With another source, and what would be refused.
        let given = options(&[("source", "192.0.2.9")]);
        let reply = rig.call(&pvd, PVD, "Explain", &("127.0.0.1", given)).await.unwrap();
        let told: Dict = reply.body().deserialize().unwrap();
        assert_eq!(text(&told, "source"), "192.0.2.9");
        assert_eq!(text(&told, "error-name"), "org.freedesktop.DBus.Error.InvalidArgs");
        assert!(text(&told, "message").contains("loopback"), "{told:?}");

        let wrong = rig.call(&pvd, PVD, "Explain", &("eth0", options::<&str>(&[]))).await.unwrap_err();
        assert_eq!(wrong.0, "org.freedesktop.DBus.Error.InvalidArgs");
        let wrong =
            rig.call(&pvd, PVD, "Explain", &("192.0.2.7", options(&[("port", "7")]))).await.unwrap_err();
        assert!(wrong.1.contains("source"), "{}", wrong.1);
    });
}
