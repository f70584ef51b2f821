//! `boot.json`: how far a boot has come, on disk before and after every step, so that whoever is killed is followed by one
//! that goes on from there.
//!
//! Owns the record and its writing. Must never hold a secret: it names steps, not what they were told. Next:
//! [`super::run`], which writes it, and the agent, which reads how it ended.

use std::collections::BTreeSet;
use std::io;

use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::drivers::folder::Folder;

/// The name of the file.
pub const FILE: &str = "boot.json";

/// How far a boot has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which of the instance's starts.
    pub boot: u32,
    /// All of its steps, in order, from when they are known.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Why it came to nothing, completing "failed to …"; absent while it has not.
    #[serde(default)]
    pub failure: Option<String>,
    /// Whether everything is done, the registration too.
    #[serde(default)]
    pub is_done: bool,
    /// Balancers that the instance is registered with, by this boot.
    #[serde(default)]
    pub registered: Vec<String>,
    /// Installers that are done once in an instance's life, and have been.
    #[serde(default)]
    pub done_once: BTreeSet<String>,
    /// What was handed to the mail, and what became of it.
    #[serde(default)]
    pub report: Option<Report>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// For people.
    pub name: String,
    /// How it fares.
    pub state: StepState,
    /// How often it was begun.
    #[serde(default)]
    pub tries: u32,
    /// When it was begun last.
    #[serde(default)]
    pub began: Option<Timestamp>,
    /// Milliseconds that the last try took.
    #[serde(default)]
    pub took_ms: Option<u64>,
    /// How the last try ended, where not well.
    #[serde(default)]
    pub said: Option<String>,
}

/// How a step fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Begun; where nobody runs, it was cut short.
    Running,
    /// Done.
    Done,
    /// Not done, because it was in an earlier boot.
    Skipped,
    /// It failed, after all its tries.
    Failed,
}

impl StepState {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// The mail about a boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its Message-ID, the same for every try, so that a repeated delivery can be told.
    pub id: String,
    /// How often it was tried.
    #[serde(default)]
    pub tries: u32,
    /// What became of it; absent while it is under way.
    #[serde(default)]
    pub end: Option<ReportEnd>,
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportEnd {
    /// A server has it.
    Sent,
    /// It was given up, and why.
    GivenUp(String),
}

impl Step {
    /// One that is not begun.
    #[must_use]
    pub fn waiting(name: &str) -> Self {
        Self { name: name.to_owned(), state: StepState::Waiting, tries: 0, began: None, took_ms: None, said: None }
    }
}

impl Record {
    /// The record of a boot: as it stands, or anew with what an earlier boot has done once and for all.
    ///
    /// # Errors
    /// A file that cannot be read, or is none of ours.
    pub fn of(folder: &Folder, boot: u32) -> io::Result<Self> {
        Ok(match folder.read::<Self>(FILE)? {
            Some(record) if record.boot == boot => record,
            Some(before) => Self { boot, done_once: before.done_once, ..Self::default() },
            None => Self { boot, ..Self::default() },
        })
    }

    /// Writes it, on disk when it returns.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, folder: &Folder) -> io::Result<()> {
        folder.write(FILE, self, true)
    }
}
