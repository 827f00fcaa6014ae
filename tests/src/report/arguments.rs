//! What a benchmark is called with.

use std::io::Write;
use std::process::ExitCode;

use crate::daemons::BusProgram;

/// Asks for JSON as `--json` does; so does `cargo xtask bench`.
const JSON: &str = "MIF_BENCH_JSON";

/// What every benchmark is called with: `[--json] [--full] [KEY=VALUE]...`.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// JSON on standard output.
    pub json: bool,
    /// Everything that there is to measure, however long that takes.
    pub full: bool,
    given: Vec<(String, String)>,
}

impl Arguments {
    /// Those of this program, which measures `about`. `known` are the keys that it takes, each with what it means and
    /// its default.
    ///
    /// # Errors
    /// When one is not known, or help is asked for: how to call it has been said, and this is how to end.
    pub fn of_program(about: &str, known: &[(&str, &str)]) -> Result<Self, ExitCode> {
        let mut read = Self { json: std::env::var_os(JSON).is_some(), ..Self::default() };
        for argument in std::env::args().skip(1) {
            match argument.split_once('=') {
                Some((key, value)) if known.iter().any(|(name, _)| *name == key) => {
                    read.given.push((key.to_owned(), value.to_owned()));
                }
                None if argument == "--json" => read.json = true,
                None if argument == "--full" => read.full = true,
                None if argument == "--help" => {
                    let _ = write!(std::io::stdout().lock(), "{}", usage(about, known));
                    return Err(ExitCode::SUCCESS);
                }
                _ => {
                    let usage = usage(about, known);
                    let _ = write!(std::io::stderr().lock(), "{argument:?} is not understood.\n{usage}");
                    return Err(ExitCode::from(2));
                }
            }
        }
        Ok(read)
    }

    /// What was given for `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == key).map(|(_, value)| &**value)
    }

    /// A whole number.
    ///
    /// # Panics
    /// When it is none.
    pub fn number(&self, key: &str, default: usize) -> usize {
        self.text(key)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{key}={text}: no number")))
    }

    /// How many rounds there are: at least one.
    ///
    /// # Panics
    /// When it is no number.
    pub fn rounds(&self, default: usize) -> usize {
        self.number("rounds", default).max(1)
    }

    /// Whole numbers, parted by commas.
    ///
    /// # Panics
    /// When they are none.
    pub fn numbers(&self, key: &str, default: &[usize]) -> Vec<usize> {
        let read = |text: &str| text.parse().unwrap_or_else(|_| panic!("{key}={text}: no number"));
        self.text(key).map_or_else(|| default.to_vec(), |text| text.split(',').map(read).collect())
    }

    /// On which buses it is measured: those that `bus=` names, otherwise `default`, and both in full.
    ///
    /// # Panics
    /// When it names one that is not known.
    pub fn buses(&self, default: &[BusProgram]) -> Vec<BusProgram> {
        let Some(text) = self.text("bus") else {
            return if self.full { BusProgram::ALL.to_vec() } else { default.to_vec() };
        };
        let known = |word: &str| BusProgram::ALL.into_iter().find(|program| program.word() == word);
        text.split(',')
            .map(|word| known(word).unwrap_or_else(|| panic!("bus={text}: daemon, broker or both of them")))
            .collect()
    }

    /// Whether `word` is wanted: all are, unless `key` names some.
    pub fn wants(&self, key: &str, word: &str) -> bool {
        self.text(key).is_none_or(|wanted| wanted.split(',').any(|wanted| wanted == word))
    }
}

fn usage(about: &str, known: &[(&str, &str)]) -> String {
    let mut text = format!("{about}.\nArguments:\n");
    let width = known.iter().map(|(key, _)| key.len() + 1).max().unwrap_or(0).max("--full".len());
    let mut line = |key: &str, meaning: &str| text.push_str(&format!("  {key:<width$}  {meaning}\n"));
    line("--json", "for machines");
    line("--full", "everything, however long it takes");
    for (key, meaning) in known {
        line(&format!("{key}="), meaning);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Arguments {
        let given = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Arguments { given, ..Arguments::default() }
    }

    #[test]
    fn numbers_and_words_are_parted_by_commas() {
        let arguments = given(&[("links", "10,100"), ("who", "mifd,networkd"), ("rounds", "0")]);
        assert_eq!(arguments.numbers("links", &[1]), [10, 100]);
        assert_eq!(arguments.numbers("others", &[1]), [1]);
        assert!(arguments.wants("who", "networkd") && !arguments.wants("who", "network"));
        assert_eq!((arguments.rounds(5), given(&[]).rounds(5)), (1, 5));
    }

    #[test]
    fn a_full_run_is_one_on_both_buses() {
        let daemon = [BusProgram::DbusDaemon];
        assert_eq!(given(&[]).buses(&daemon), daemon);
        assert_eq!(Arguments { full: true, ..given(&[]) }.buses(&daemon), BusProgram::ALL);
        assert_eq!(given(&[("bus", "broker")]).buses(&daemon), [BusProgram::DbusBroker]);
    }

    #[test]
    #[should_panic(expected = "daemon, broker or both")]
    fn an_unknown_bus_is_named() {
        given(&[("bus", "kdbus")]).buses(&BusProgram::ALL);
    }

    #[test]
    fn the_usage_tells_each_argument() {
        let text = usage("what a change costs", &[("rounds", "how many (3)")]);
        assert!(text.starts_with("what a change costs.\n"));
        assert!(text.contains("  rounds=  how many (3)\n"), "{text}");
    }
}
