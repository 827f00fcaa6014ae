//! What the applet is installed with is valid, and its words are translated.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mif_tests::tool;

fn applet() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("applet")
}

/// Runs a command that must have nothing to complain about, and hands back what it said.
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}

#[test]
fn the_desktop_entry_is_valid_and_starts_what_is_installed() {
    let entry = applet().join("data/org.ietf.Mif1.Applet.desktop");
    assert_eq!(succeeds(tool::command("desktop-file-validate").arg(&entry)), "");
    let text = fs::read_to_string(entry).unwrap();
    assert!(text.contains("\nExec=mif-applet\n") && text.contains("\nDBusActivatable=true\n"));
    let service = fs::read_to_string(applet().join("data/org.ietf.Mif1.Applet.service")).unwrap();
    assert!(service.contains("\nName=org.ietf.Mif1.Applet\n"), "{service}");
}

#[test]
fn software_centres_understand_what_the_applet_is() {
    let metainfo = applet().join("data/org.ietf.Mif1.Applet.metainfo.xml");
    succeeds(tool::command("appstreamcli").args(["validate", "--no-net"]).arg(&metainfo));
    let release = format!("<release version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(fs::read_to_string(metainfo).unwrap().contains(&release));
}

#[test]
fn every_file_with_words_is_listed() {
    let list = fs::read_to_string(applet().join("po/POTFILES")).unwrap();
    let mut folders = vec![applet().join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let has_words = text.contains("gettext(\"") || text.contains("translatable=\"yes\"");
            let name = path.strip_prefix(applet()).unwrap().display().to_string();
            assert!(!has_words || list.lines().any(|line| line == name), "{name} is not in po/POTFILES");
        }
    }
}

#[test]
fn german_is_complete() {
    let folder = std::env::temp_dir().join(format!("mif-words-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let list = fs::read_to_string(applet().join("po/POTFILES")).unwrap();
    let extract = |ending: &str, to: &str, options: &[&str]| {
        let files = list.lines().filter(|line| line.ends_with(ending));
        let to = folder.join(to);
        let mut xgettext = tool::command("xgettext");
        xgettext.current_dir(applet()).args(["--from-code=UTF-8", "-o"]).arg(&to).args(options).args(files);
        succeeds(&mut xgettext);
        to
    };
    // Rust is near enough to C.
    let keywords = ["--language=C", "--keyword=gettext", "--keyword=ngettext:1,2", "--keyword=counted:1,2"];
    let words = [extract(".rs", "rs.pot", &keywords), extract(".ui", "ui.pot", &[])];
    let all = folder.join("all.pot");
    succeeds(tool::command("msgcat").arg("--use-first").args(words).arg("-o").arg(&all));
    let german = applet().join("po/de.po");
    succeeds(tool::command("msgcmp").arg(&german).arg(&all));
    // Also that placeholders of the translation are those of the original.
    succeeds(tool::command("msgfmt").args(["--check-format", "-o", "/dev/null"]).arg(&german));
    placeholders_are_kept(&fs::read_to_string(german).unwrap());
    fs::remove_dir_all(folder).unwrap();
}

/// Each `{name}` of a text is in its translation.
fn placeholders_are_kept(catalogue: &str) {
    for block in catalogue.split("\n\n").skip(1) {
        let names = |text: &str| -> Vec<String> {
            let mut names: Vec<String> =
                text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect();
            names.sort();
            names.dedup();
            names
        };
        let (original, translation) = block.split_once("msgstr").unwrap_or_else(|| panic!("{block}"));
        assert_eq!(names(original), names(translation), "{block}");
    }
}
