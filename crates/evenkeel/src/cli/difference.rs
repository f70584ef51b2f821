//! The difference that a change makes, or would make: lines that go with `-`, lines that come with `+`.
//!
//! Must never ask the daemon. Next: `lb::state` and [`super::identity`] for lines of load balancers and of users.

use std::io;

use serde_json::{Value, json};

use super::streams::Streams;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// One thing that can come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is: `listener`, `zone` …
    pub what: &'static str,
    /// Which.
    pub text: String,
}

impl Line {
    /// A line.
    pub fn new(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, text: text.into() }
    }

    /// What it is about, which stays when the rest of it changes: the key, the port, the name.
    fn thing(&self) -> (&'static str, &str) {
        (self.what, self.text.split(['=', ' ']).next().unwrap_or_default())
    }
}

/// What becomes of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It comes to be.
    Create,
    /// It stays, and something of it may become other.
    Change,
    /// It goes.
    Delete,
    /// What it was and is may not be looked at.
    Unseen,
}

/// What goes and what comes of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    name: String,
    verb: Verb,
    gone: Vec<Line>,
    come: Vec<Line>,
}

impl Difference {
    /// Between the lines of something before and after.
    pub fn new(name: &str, verb: Verb, before: &[Line], after: &[Line]) -> Self {
        let only = |these: &[Line], others: &[Line]| -> Vec<Line> {
            these.iter().filter(|line| !others.contains(line)).cloned().collect()
        };
        Self { name: name.to_owned(), verb, gone: only(before, after), come: only(after, before) }
    }

    /// Of a change that was made by somebody who may not look.
    pub fn unseen(name: &str) -> Self {
        Self::new(name, Verb::Unseen, &[], &[])
    }

    fn is_none(&self) -> bool {
        self.verb == Verb::Change && self.gone.is_empty() && self.come.is_empty()
    }

    /// Prints it: of a dry run as what would be.
    ///
    /// # Errors
    /// Those of writing.
    pub fn print(&self, dry_run: bool, as_json: bool, streams: &mut Streams<'_>) -> anyhow::Result<()> {
        if as_json {
            return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&self.json(dry_run))?)?);
        }
        Ok(self.write(dry_run, streams)?)
    }

    /// Prints several, one after the other; in JSON as a list.
    ///
    /// # Errors
    /// Those of writing.
    pub fn print_all(all: &[Self], dry_run: bool, as_json: bool, streams: &mut Streams<'_>) -> anyhow::Result<()> {
        if as_json {
            let shown: Value = all.iter().map(|one| one.json(dry_run)).collect();
            return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown)?)?);
        }
        Ok(all.iter().try_for_each(|one| one.write(dry_run, streams))?)
    }

    fn json(&self, dry_run: bool) -> Value {
        let shown = |lines: &[Line]| -> Vec<Value> {
            lines.iter().map(|line| json!({ "what": line.what, "text": line.text })).collect()
        };
        json!({
            "name": self.name,
            "dry_run": dry_run,
            "changed": if self.verb == Verb::Unseen { Value::Null } else { json!(!self.is_none()) },
            "removed": shown(&self.gone),
            "added": shown(&self.come),
        })
    }

    fn write(&self, dry_run: bool, streams: &mut Streams<'_>) -> io::Result<()> {
        let name = &self.name;
        if self.is_none() {
            let would = if dry_run { "would change" } else { "changed" };
            return writeln!(streams.out, "nothing {would} of {name}");
        }
        let verb = match (self.verb, dry_run) {
            (Verb::Unseen, _) => return writeln!(streams.out, "done; what became other of {name} is not yours to see"),
            (Verb::Create, false) => "created",
            (Verb::Change, false) => "changed",
            (Verb::Delete, false) => "deleted",
            (Verb::Create, true) => "would create",
            (Verb::Change, true) => "would change",
            (Verb::Delete, true) => "would delete",
        };
        writeln!(streams.out, "{verb} {name}:")?;
        let all = || self.gone.iter().chain(&self.come);
        let width = all().map(|line| line.what.len()).max().unwrap_or_default();
        let mut things: Vec<(&str, &str)> = Vec::new();
        for line in all() {
            if !things.contains(&line.thing()) {
                things.push(line.thing());
            }
        }
        // Kinds stay together, in the order in which they come.
        let kinds: Vec<&str> = things.iter().map(|(kind, _)| *kind).collect();
        things.sort_by_key(|(kind, _)| kinds.iter().position(|other| other == kind));
        for thing in things {
            for (sign, colour, lines) in [('-', RED, &self.gone), ('+', GREEN, &self.come)] {
                for line in lines.iter().filter(|line| line.thing() == thing) {
                    let (on, off) = if streams.screen.colour { (colour, PLAIN) } else { ("", "") };
                    writeln!(streams.out, "{on}{sign} {:<width$}  {}{off}", line.what, line.text)?;
                }
            }
        }
        Ok(())
    }
}
