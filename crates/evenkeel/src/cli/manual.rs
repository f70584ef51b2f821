//! `evenkeel completions` and `evenkeel man`: both made from the flags themselves, so that neither can fall behind.
//!
//! Next: [`super::Cli`], which they are made from.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::failure::Outcome;
use super::links;
use super::streams::Streams;

/// Arguments of `evenkeel completions`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  eval \"$(evenkeel completions bash)\"
  eval \"$(evenkeel completions bash elbadmin)\"
  evenkeel completions fish > ~/.config/fish/completions/evenkeel.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
    /// The program, for one of the linked names
    #[arg(value_name = "PROGRAM", default_value = "evenkeel", value_parser = ["evenkeel", "elbadmin", "list_instances", "kill_instance"])]
    pub program: String,
}

/// Arguments of `evenkeel man`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel man | man -l -\n  evenkeel man ~/.local/share/man/man1")]
pub struct Man {
    /// Write the pages of all commands there, one a file, instead of printing the first
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Prints a completion script.
///
/// # Errors
/// Those of writing.
pub fn completions(args: &Completions, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let linked = links::NAMES.into_iter().find(|name| *name == args.program);
    let mut command = linked.map_or_else(super::Cli::command, super::alone);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, args.program.clone(), &mut script);
    streams.out.write_all(&script)?;
    Ok(Outcome::Done)
}

/// Prints or writes manual pages.
///
/// # Errors
/// Those of writing.
pub fn man(args: &Man, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let Some(dir) = &args.dir else {
        streams.out.write_all(&page(super::Cli::command())?)?;
        return Ok(Outcome::Done);
    };
    fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    for (name, text) in pages()? {
        let file = dir.join(format!("{name}.1"));
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
        writeln!(streams.out, "{}", file.display())?;
    }
    Ok(Outcome::Done)
}

/// A page for every command and sub-command, and one for every linked name, by its own.
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    collect(super::Cli::command(), "", &mut pages)?;
    for name in links::NAMES {
        pages.push((name.to_owned(), page(super::alone(name))?));
    }
    Ok(pages)
}

fn collect(command: Command, above: &str, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    let name = if above.is_empty() { command.get_name().to_owned() } else { format!("{above}-{}", command.get_name()) };
    for child in command.get_subcommands() {
        collect(child.clone(), &name, pages)?;
    }
    let titled = command.display_name(name.clone()).bin_name(name.replace('-', " "));
    pages.push((name, page(titled)?));
    Ok(())
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    Page::new(command).render(&mut text).context("failed to write a manual page")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::streams::Screen;

    #[test]
    fn every_command_has_a_page_with_examples() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["evenkeel", "evenkeel-run", "evenkeel-image-register", "evenkeel-elbadmin", "elbadmin"] {
            assert!(names.contains(&name), "{names:?}");
        }
        for (name, text) in &pages {
            let text = String::from_utf8_lossy(text);
            assert!(text.starts_with(".ie") && text.contains("Examples:"), "{name}:\n{text}");
        }
    }

    #[test]
    fn completions_name_the_program_and_its_commands() {
        let check = |shell, program: &str, expected: &str| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut streams = Streams { out: &mut out, err: &mut err, live: false, screen: Screen::default() };
            completions(&Completions { shell, program: program.into() }, &mut streams).unwrap();
            assert!(String::from_utf8(out).unwrap().contains(expected), "{shell} {program}");
        };
        check(Shell::Bash, "evenkeel", "install-links");
        check(Shell::Bash, "elbadmin", "--listener");
        check(Shell::Zsh, "list_instances", "#compdef list_instances");
        check(Shell::Fish, "kill_instance", "complete -c kill_instance");
    }
}
