//! The applet in every dress: dark, high contrast, right to left, German, narrow, twice as large; and what a screen
//! reader makes of it. The screenshots are to be looked at.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use mif_tests::desktop::{Desktop, Panel, Seen};
use mif_tests::https::Authority;
use mif_tests::served_host::ServedHost;
use mif_tests::tool;
use mif_tests::topology::{CAFE, Cafe, SIGN_IN, TwoIsps};
use mif_tests::universe::{self, Universe};

/// Translations, compiled.
const WORDS: &str = "/tmp/words";

async fn cafe_and_isps(universe: &Universe) -> (TwoIsps, Cafe, ServedHost) {
    let authority = Authority::new("test");
    let isps = TwoIsps::start(universe).await;
    let cafe = Cafe::open(universe, 3, &authority).await;
    let file = authority.file("authority.pem");
    let host = ServedHost::start_with(universe, |own| own.environment("SSL_CERT_FILE", file)).await;
    cafe.advertise();
    host.pvd_where(CAFE, |pvd| !pvd.addresses.is_empty()).await;
    (isps, cafe, host)
}

/// German; and the same as if it was Hebrew, for a language that is written from right to left: GTK mirrors a window
/// only when the program has words in that language.
fn compile_words() {
    for language in ["de", "he"] {
        let folder = Path::new(WORDS).join(language).join("LC_MESSAGES");
        fs::create_dir_all(&folder).unwrap();
        let mut msgfmt = tool::command("msgfmt");
        msgfmt.arg("-o").arg(folder.join("mif-applet.mo"));
        msgfmt.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../applet/po/de.po"));
        assert!(msgfmt.status().unwrap().success());
    }
}

/// A captive network: on top, with a button; signed in, it says so by itself.
#[test]
fn a_captive_network_asks_to_sign_in() {
    universe::run(async |universe| {
        let (_isps, cafe, host) = cafe_and_isps(&universe).await;
        let desktop = Desktop::start(&universe).await;
        let panel = Panel::start().await;
        let applet = desktop.applet(&[], &[]).await;
        desktop.reads(&[CAFE, "Sign-in needed"]).await;
        desktop.click("list item", CAFE).await;
        desktop.reads(&[SIGN_IN, "Sign In…"]).await;
        // Everything that mifctl shows is shown.
        desktop.reads(&["64:ff9b::/96", "1480", "2001:db8:aaaa::/48", "guests.cafe.example"]).await;
        desktop.screenshot("captive");
        let seen = desktop.look();
        assert_names(&seen);
        drop((cafe, host, panel));
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
    });
}

/// Its name, variables of the environment, and words by which it is known.
type Dress = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// All dresses, one after the other.
#[test]
fn every_dress_fits() {
    universe::run(async |universe| {
        let (_isps, _cafe, _host) = cafe_and_isps(&universe).await;
        compile_words();
        let desktop = Desktop::start(&universe).await;
        let _panel = Panel::start().await;
        let dresses: [Dress; 5] = [
            ("dark", &[("ADW_DEBUG_COLOR_SCHEME", "prefer-dark")], "Sign-in needed"),
            ("high-contrast", &[("ADW_DEBUG_HIGH_CONTRAST", "1")], "Sign-in needed"),
            ("german", &[("LANGUAGE", "de"), ("MIF_APPLET_TRANSLATIONS", WORDS)], "Anmeldung nötig"),
            ("right-to-left", &[("LANGUAGE", "he"), ("MIF_APPLET_TRANSLATIONS", WORDS)], "Anmeldung nötig"),
            ("twice-as-large", &[("GDK_SCALE", "2")], "Sign-in needed"),
        ];
        for (name, environment, words) in dresses {
            let applet = desktop.applet(&[], environment).await;
            desktop.reads(&[CAFE, words]).await;
            if name == "twice-as-large" {
                // It is larger than the screen then; and what is where is told in other pixels than the mouse has.
                desktop.resize(1400, 1000);
            } else {
                desktop.click("list item", CAFE).await;
                desktop.reads(&[SIGN_IN]).await;
            }
            desktop.screenshot(name);
            if name == "right-to-left" {
                let [list, _, _, _] = desktop.place("list item", CAFE).await;
                assert!(list > 500, "the list is on the right: {list}");
            }
            applet.kill().await;
        }
    });
}

/// A window as narrow as a telephone: one page at a time, by keyboard.
#[test]
fn a_narrow_window_shows_one_page_at_a_time() {
    universe::run(async |universe| {
        let (_isps, _cafe, _host) = cafe_and_isps(&universe).await;
        let desktop = Desktop::start(&universe).await;
        let _panel = Panel::start().await;
        let _applet = desktop.applet(&[], &[]).await;
        desktop.reads(&[CAFE, "Sign-in needed"]).await;
        desktop.resize(400, 720);
        at_the_left(&desktop, "list item", "eth1").await;
        desktop.screenshot("narrow-list");
        desktop.click("list item", CAFE).await;
        desktop.reads(&[SIGN_IN]).await;
        at_the_left(&desktop, "list item", "PvD ID").await;
        desktop.screenshot("narrow-details");
        desktop.keys(&["alt+3"]);
        desktop.reads(&["Filter", "announcements"]).await;
        desktop.screenshot("narrow-timeline");
        desktop.keys(&["alt+Left"]);
        at_the_left(&desktop, "list item", "eth1").await;
    });
}

/// Waits until something is at the left edge of the narrow window: the page that it is on is shown. (Of the page that is
/// not, GTK tells where it would be.)
async fn at_the_left(desktop: &Desktop, role: &str, name: &str) {
    let at_the_left =
        |it: &&Seen| it.role == role && it.name.starts_with(name) && (0..60).contains(&it.extents[0]);
    desktop.until(&format!("{name:?} at the left"), |seen| seen.iter().find(at_the_left).map(|_| ())).await;
}

/// What can have the focus has a name that says something.
fn assert_names(seen: &[Seen]) {
    let nameless =
        |it: &&Seen| it.name.is_empty() || it.name.starts_with("Gtk") || it.name.starts_with("Adw");
    // A scrolled part of the window says nothing by itself.
    let spoken = seen.iter().filter(|it| it.is("focusable") && it.role != "scroll pane");
    let nameless: Vec<&Seen> = spoken.filter(nameless).collect();
    assert_eq!(nameless, Vec::<&Seen>::new());
}
