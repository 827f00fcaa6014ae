//! The announcements as they came, in the applet: filtered, paused, exported.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use mif_tests::desktop::{Seen, Session, rows};
use mif_tests::universe;
use mif_tests::wait::eventually;
use serde_json::Value;

/// Where the announcements are exported to.
const FILE: &str = "/tmp/for-a-bug-report.jsonl";

/// How many announcements there are, and how many of them are shown: "3 of 26 announcements".
fn counted(seen: &[Seen]) -> Option<(usize, usize)> {
    let words = seen.iter().map(Seen::words).find(|words| words.ends_with(" announcements"))?;
    let numbers: Vec<usize> = words.split(' ').filter_map(|word| word.parse().ok()).collect();
    Some((*numbers.first()?, *numbers.last()?))
}

/// What is typed filters; what comes while it is paused is shown afterwards; what is exported is what is shown.
#[test]
fn announcements_are_filtered_paused_and_exported() {
    universe::run(async |universe| {
        let Session { isps, host: _host, desktop, panel: _panel, applet } =
            Session::between_two_isps(&universe, &[]).await;
        desktop.keys(&["ctrl+f"]);
        desktop.reads(&["Filter", " announcements"]).await;
        desktop.types("eth2:ipv4");
        let (shown, all) = desktop
            .until("a few of all", |seen| counted(seen).filter(|(shown, all)| *shown == 3 && all > shown))
            .await;
        assert!(shown < all);
        let lines = desktop.look();
        let lines = rows(&lines, "Announcements");
        assert!(lines.iter().all(|line| line.words().contains("IPv4 on eth2")), "{lines:#?}");

        desktop.keys(&["ctrl+p"]);
        isps.second.pull_cable().await;
        // The list of networks has it, the timeline not yet.
        let gone = |seen: &[Seen]| {
            let left = rows(seen, "Interfaces");
            (!left.iter().any(|it| it.words().contains("IPv4 on eth2"))).then_some(())
        };
        desktop.until("the network to go", gone).await;
        assert_eq!(counted(&desktop.look()), Some((shown, all)), "it is paused");
        desktop.keys(&["ctrl+p"]);
        desktop.reads(&["Network IPv4 on eth2 went", "Configuration by DHCPv4 went"]).await;

        let shown = desktop.until("all of it", |seen| counted(seen).filter(|(shown, _)| *shown == 6)).await.0;
        desktop.keys(&["ctrl+e"]);
        desktop.reads(&["Export Announcements"]).await;
        desktop.screenshot_of_everything("export");
        desktop.keys(&["ctrl+a"]);
        desktop.types(FILE);
        desktop.keys(&["Return"]);
        // What is looked at while GTK takes its dialog away breaks what is looked at later.
        eventually("an end of the dialog", async || match desktop.windows() {
            1 if Path::new(FILE).exists() => Ok(()),
            count => Err(count),
        })
        .await;
        desktop.reads(&[&format!("{shown} announcements exported")]).await;
        let text = fs::read_to_string(FILE).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), shown);
        assert!(lines.iter().all(|line| line["pvd"] == "implicit:eth2:ipv4"), "{text}");
        assert!(lines.iter().is_sorted_by_key(|line| line["time"].as_u64()), "{text}");
        let last = &lines[lines.len() - 1];
        assert_eq!(
            (&last["kind"], &last["change"]),
            (&"provisioning-domain".into(), &"removed".into()),
            "{text}"
        );
        // GTK's own dialog has complained; the program goes on.
        assert!(applet.exit_status().is_none(), "{}", applet.log());
    });
}
