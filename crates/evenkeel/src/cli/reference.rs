//! The reference page of all commands, `docs/reference.md`, made from the flags themselves so that it cannot fall behind.
//!
//! Owns the page's form only. Next: [`super::Cli`], which it is made from.

use clap::{Command, CommandFactory};

/// The page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Commands\n\nGenerated from the command line's own definitions; `evenkeel COMMAND --help` says the same. Files that people \
         write are in [files.md](files.md).\n",
    );
    let mut all = super::Cli::command();
    // Flags that every command has are worth one mention only, and clap adds them when it builds.
    all.build();
    for command in all.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        section(&mut page, command, "evenkeel", 2);
    }
    page
}

fn section(page: &mut String, command: &Command, above: &str, level: usize) {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.push_str(&format!("\n{} `{name}`\n\n{about}.\n", "#".repeat(level)));
    let shown = |a: &&clap::Arg| !a.is_hide_set() && !matches!(a.get_id().as_str(), "help" | "version");
    let arguments: Vec<&clap::Arg> = command.get_arguments().filter(shown).collect();
    if !arguments.is_empty() {
        page.push_str("\n| argument | meaning |\n| --- | --- |\n");
    }
    for argument in arguments {
        page.push_str(&format!("| {} | {} |\n", form(argument), meaning(argument)));
    }
    if let Some(examples) = command.get_after_help() {
        page.push_str(&format!("\n```\n{}\n```\n", examples.to_string().trim_end()));
    }
    for child in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        section(page, child, &name, level + 1);
    }
}

fn form(argument: &clap::Arg) -> String {
    let takes = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    let value = if takes { names.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(" ") } else { String::new() };
    let flags =
        [argument.get_short().map(|short| format!("-{short}")), argument.get_long().map(|long| format!("--{long}"))];
    let flags = flags.into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("`{}`", [flags, value].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
}

fn meaning(argument: &clap::Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    let defaults: Vec<_> = argument.get_default_values().iter().map(|d| d.to_string_lossy()).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        text.push_str(&format!(" [default: `{}`]", defaults.join(", ")));
    }
    if let Some(variable) = argument.get_env() {
        text.push_str(&format!(" [environment: `{}`]", variable.to_string_lossy()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_flags_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
        if std::env::var_os("EVENKEEL_UPDATE").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap();
        assert_eq!(page, reference(), "run `EVENKEEL_UPDATE=1 cargo test -p evenkeel page`");
    }
}
