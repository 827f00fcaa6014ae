//! Keyboard and mouse of the person, and windows, by xdotool.

use super::{Area, Desktop, Seen, focused, with_environment};
use crate::tool;

/// More than there are stops in a window.
const STEPS: usize = 60;

/// How often a window is searched for.
const SEARCHES: usize = 100;

/// How often it is looked whether the keyboard has moved.
const LOOKS: usize = 8;

impl Desktop {
    /// Clicks with the mouse on what has this role and a name that begins so.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn click(&self, role: &str, name: &str) {
        let [x, y, width, height] = self.place(role, name).await;
        let (window, place) = (self.window(), [x + width / 2, y + height / 2].map(|it| it.to_string()));
        self.xdotool(&["mousemove", "--window", &window, &place[0], &place[1], "click", "1"]);
    }

    /// Presses keys, as `ctrl+q`.
    ///
    /// # Panics
    /// When there is no window.
    pub fn keys(&self, keys: &[&str]) {
        self.xdotool(&[&["key", "--clearmodifiers"], keys].concat());
    }

    /// Presses a key until what has the keyboard begins with these words.
    ///
    /// # Panics
    /// When that never comes.
    pub async fn walk(&self, key: &str, words: &str) {
        let mut last: Option<String> = None;
        for _ in 0..STEPS {
            // Not every stop is told: those in entries are not, and some things have two.
            let mut looks = 0;
            let moved = |seen: &[Seen]| {
                looks += 1;
                Some(focused(seen)).filter(|now| *now != last || looks > LOOKS)
            };
            let now = self.until("the keyboard elsewhere", moved).await;
            if now.as_deref().is_some_and(|now| now.starts_with(words)) {
                return;
            }
            last = now;
            self.keys(&[key]);
        }
        panic!("{key} leads never to {words:?}, last to {last:?}");
    }

    /// Types a text.
    ///
    /// # Panics
    /// When there is no window.
    pub fn types(&self, text: &str) {
        self.xdotool(&["type", "--clearmodifiers", text]);
    }

    /// Changes the size of the window.
    ///
    /// # Panics
    /// When there is none.
    pub fn resize(&self, width: i32, height: i32) {
        let window = self.window();
        self.xdotool(&["windowsize", &window, &width.to_string(), &height.to_string()]);
    }

    /// Puts the window away, where nobody sees it.
    ///
    /// # Panics
    /// When there is none.
    pub fn minimize(&self) {
        self.xdotool(&["windowminimize", &self.window()]);
    }

    /// How many windows can be seen.
    pub fn windows(&self) -> usize {
        self.find_windows().len()
    }

    /// Where the window is on the screen.
    ///
    /// # Panics
    /// When there is none.
    pub fn window_area(&self) -> Area {
        let geometry = self.xdotool(&["getwindowgeometry", "--shell", &self.window()]);
        ["X", "Y", "WIDTH", "HEIGHT"].map(|key| {
            let line = geometry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.and_then(|value| value.parse().ok()).unwrap_or_default()
        })
    }

    /// A search that meets a window which is just closing, a menu or a hint, finds none at all; so there are several.
    fn window(&self) -> String {
        (0..SEARCHES).find_map(|_| self.find_window()).expect("a window")
    }

    /// The window on top.
    pub(super) fn find_window(&self) -> Option<String> {
        self.find_windows().pop()
    }

    fn find_windows(&self) -> Vec<String> {
        let mut search = tool::command("xdotool");
        search.args(["search", "--onlyvisible", "--class", "mif-applet"]);
        let found = with_environment(search).output().expect("xdotool");
        String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
    }

    fn xdotool(&self, arguments: &[&str]) -> String {
        let mut command = tool::command("xdotool");
        command.args(arguments);
        let output = with_environment(command).output().expect("xdotool");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "xdotool {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
