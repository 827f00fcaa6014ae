//! `mifctl completion`: command lines that complete themselves. Verbs and options are those of the definition in
//! [`crate::args`]; PvDs and interfaces are asked of the service when they are needed.

use clap::CommandFactory;

use crate::args::{Arguments, Shell};
use crate::failure::Failure;
use crate::output::Output;

/// Prints the script.
pub fn run(shell: Shell, output: &mut Output) -> Result<(), Failure> {
    output.text(&script(shell))
}

fn script(shell: Shell) -> String {
    let mut command = Arguments::command();
    command.build();
    let verbs: Vec<&clap::Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    match shell {
        Shell::Bash => bash(&verbs),
        Shell::Zsh => zsh(&verbs),
        Shell::Fish => fish(&verbs),
    }
}

/// Its options, with what takes a PvD marked.
fn options(verb: &clap::Command) -> Vec<String> {
    let shown = verb.get_arguments().filter(|argument| !argument.is_hide_set());
    shown.filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect()
}

/// The words that it takes besides its options: those that are the same on every machine.
fn words(verb: &clap::Command, verbs: &[&clap::Command]) -> String {
    match verb.get_name() {
        "completion" => "bash zsh fish".to_owned(),
        "help" => verbs
            .iter()
            .map(|verb| verb.get_name())
            .filter(|name| *name != "help")
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}

/// Its options and words, as a list with blanks between.
fn options_and_words(verb: &clap::Command, verbs: &[&clap::Command]) -> String {
    let mut all = options(verb);
    all.extend(Some(words(verb, verbs)).filter(|words| !words.is_empty()));
    all.join(" ")
}

/// Whether its first argument names PvDs.
fn names_pvds(verb: &clap::Command) -> bool {
    matches!(verb.get_name(), "status" | "get" | "explain")
}

fn list_of(verbs: &[&clap::Command]) -> String {
    verbs.iter().map(|verb| verb.get_name()).collect::<Vec<_>>().join(" ")
}

fn bash(verbs: &[&clap::Command]) -> String {
    let cases: String = verbs
        .iter()
        .map(|verb| {
            let names = if names_pvds(verb) { " $(mifctl list --names 2>/dev/null)" } else { "" };
            format!("        {}) words=\"{}{names}\" ;;\n", verb.get_name(), options_and_words(verb, verbs))
        })
        .collect();
    // Ids have colons, at which bash would part words.
    format!(
        "\
_mifctl() {{
    local current previous words verb=${{COMP_WORDS[1]:-}}
    local line=${{COMP_LINE:0:COMP_POINT}}
    current=${{line##*[[:space:]]}}
    line=${{line%\"$current\"}}
    line=${{line%\"${{line##*[![:space:]]}}\"}}
    previous=${{line##*[[:space:]]}}
    case $verb in
{cases}        *) words=\"{verbs}\" ;;
    esac
    if [[ $previous == --pvd ]]; then words=$(mifctl list --names 2>/dev/null); fi
    if [[ $previous == mifctl ]]; then words=\"{verbs}\"; fi
    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")
    local colons=${{current%\"${{current##*:}}\"}}
    if [[ $colons && $COMP_WORDBREAKS == *:* ]]; then COMPREPLY=(\"${{COMPREPLY[@]#\"$colons\"}}\"); fi
}}
complete -F _mifctl mifctl
",
        verbs = list_of(verbs)
    )
}

fn zsh(verbs: &[&clap::Command]) -> String {
    let cases: String = verbs
        .iter()
        .map(|verb| {
            let names = if names_pvds(verb) { " ${(f)\"$(mifctl list --names 2>/dev/null)\"}" } else { "" };
            format!("    {}) compadd -- {}{names} ;;\n", verb.get_name(), options_and_words(verb, verbs))
        })
        .collect();
    format!(
        "\
#compdef mifctl
if (( CURRENT == 2 )); then
  compadd -- {verbs}
elif [[ $words[CURRENT-1] == --pvd ]]; then
  compadd -- ${{(f)\"$(mifctl list --names 2>/dev/null)\"}}
else
  case $words[2] in
{cases}  esac
fi
",
        verbs = list_of(verbs)
    )
}

fn fish(verbs: &[&clap::Command]) -> String {
    let mut text = "complete -c mifctl -f\n".to_owned();
    for verb in verbs {
        let (name, about) = (verb.get_name(), verb.get_about().map(ToString::to_string).unwrap_or_default());
        let about = about.replace('\'', "");
        text += &format!("complete -c mifctl -n __fish_use_subcommand -a {name} -d '{about}'\n");
        for option in options(verb) {
            let long = option.trim_start_matches('-');
            let takes = if long == "pvd" { " -x -a '(mifctl list --names 2>/dev/null)'" } else { "" };
            text += &format!("complete -c mifctl -n '__fish_seen_subcommand_from {name}' -l {long}{takes}\n");
        }
        let words = words(verb, verbs);
        if !words.is_empty() {
            text += &format!("complete -c mifctl -n '__fish_seen_subcommand_from {name}' -a '{words}'\n");
        }
        if names_pvds(verb) {
            text += &format!(
                "complete -c mifctl -n '__fish_seen_subcommand_from {name}' -a '(mifctl list --names 2>/dev/null)'\n"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_option_is_in_every_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for word in ["status", "list", "connect", "get", "monitor", "translate", "avoid", "json"] {
                assert!(script.contains(word), "{word} in {shell:?}: {script}");
            }
            assert!(!script.contains("manual"), "hidden: {script}");
        }
    }

    #[test]
    fn each_verb_is_offered_once_and_help_takes_verbs() {
        let bash = script(Shell::Bash);
        let offered = bash.lines().find_map(|line| line.split_once("*) words=\"")).map(|(_, words)| words);
        let offered: Vec<&str> = offered.unwrap_or_default().split(['"', ' ']).collect();
        assert_eq!(offered.iter().filter(|word| **word == "help").count(), 1, "{bash}");
        assert!(bash.contains("        help) words=\"status list monitor"), "{bash}");
        let zsh = script(Shell::Zsh);
        assert!(!zsh.contains("help help") && zsh.contains("    help) compadd -- status list"), "{zsh}");
        let fish = script(Shell::Fish);
        assert_eq!(fish.matches("-n __fish_use_subcommand -a help ").count(), 1, "{fish}");
        assert!(fish.contains("__fish_seen_subcommand_from help' -a 'status list"), "{fish}");
    }
}
