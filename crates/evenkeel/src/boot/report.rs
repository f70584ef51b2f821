//! `evenkeel boot mail`: the report of a boot to whom `[Notification] smtp_to` names.
//!
//! Owns its words and its deliveries: tried for a day, each try on disk before it begins, so that a boot is reported once. Must
//! never hold anything up, and never let a secret of the configuration into a mail. Next: [`crate::mail`].

use std::fmt::Write as _;

use super::record::{Record, Report, ReportEnd, Step, StepState};
use super::run::put;
use super::say;
use super::site::Site;
use crate::agent::console;
use crate::mail::{self, Message, SendError, Settings};

/// The section of mail.
const NOTIFICATION: &str = "Notification";
/// How much of a failed step's output is told.
const TAIL: usize = 8 * 1024;
/// Words in the name of a key whose value is a secret.
const SECRET: [&str; 4] = ["pass", "secret", "token", "access_key"];
/// The shortest value that is looked for: a shorter one would be found in anything.
const SHORTEST: usize = 4;

/// Delivers the report, waiting between tries. Returns when it is delivered or given up, or when nobody wants one.
///
/// # Errors
/// Completes "failed to …": the record cannot be written.
pub fn deliver(site: &Site, record: &mut Record) -> Result<bool, String> {
    let settings = match Settings::read(&site.config.section(NOTIFICATION)) {
        Ok(Some(settings)) => settings,
        Ok(None) => return Ok(true),
        Err(bad) => {
            say(&format!("no mail is sent: failed to {bad}"));
            return Ok(true);
        }
    };
    loop {
        let id = format!("{}.{}@evenkeel", site.spec.instance, site.spec.boot);
        let report = record.report.get_or_insert(Report { id, tries: 0, end: None });
        if report.end.is_some() {
            return Ok(true);
        }
        report.tries += 1;
        let tries = report.tries;
        put(site, record)?;
        let sent = mail::send(&settings, &message(site, record));
        let pause = mail::pause(tries);
        let end = match (sent, pause) {
            (Ok(()), _) => {
                say("the boot was reported by mail");
                ReportEnd::Sent
            }
            (Err(SendError::Temporary(why)), Some(pause)) => {
                say(&format!("failed to {}; it is tried again after {} s", concealed(site, &why), pause.as_secs()));
                std::thread::sleep(pause);
                continue;
            }
            (Err(error), _) => {
                let why = concealed(site, &error.to_string());
                say(&format!("failed to {why}; it is given up"));
                ReportEnd::GivenUp(why)
            }
        };
        if let Some(report) = &mut record.report {
            report.end = Some(end);
        }
        put(site, record)?;
        return Ok(true);
    }
}

/// The report: each step, and of the one that failed the end of what it printed.
fn message(site: &Site, record: &Record) -> Message {
    let id = &site.spec.instance;
    let subject = match &record.failure {
        None => format!("[{id}] Startup Completed for {id}"),
        Some(_) => format!("[{id}] Startup Failed for {id}"),
    };
    let verdict = match &record.failure {
        None => format!("{id} booted, and its application answers."),
        Some(why) => format!("{id} failed to {why}."),
    };
    let about = format!("Image {} in {}, at {}.", site.spec.manifest.name, site.spec.zone, site.spec.address);
    let failed = record.steps.iter().position(|step| step.state == StepState::Failed);
    let tail = failed.and_then(|index| console::step_tail(&site.folder, index, TAIL).ok()).unwrap_or_default();
    let tail = String::from_utf8_lossy(&tail).into_owned();
    let mut text = format!("{verdict}\n{about}\n\n");
    let mut rows = String::new();
    for (number, step) in record.steps.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{number:>3}  {:<8} {:>8}  {}", step.state.as_str(), took(step), step.name);
        let cells = [number.to_string(), step.state.as_str().to_owned(), took(step), step.name.clone()];
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escaped(&concealed(site, cell)))).collect();
        let _ = writeln!(rows, "<tr>{cells}</tr>");
    }
    if !record.registered.is_empty() {
        let _ = writeln!(text, "\nRegistered with {}.", record.registered.join(", "));
    }
    if !tail.is_empty() {
        let _ = writeln!(text, "\nThe end of what the failed step printed:\n\n{tail}");
    }
    let (verdict, about, tail) = (concealed(site, &verdict), escaped(&about), concealed(site, &tail));
    let shown = if tail.is_empty() { String::new() } else { format!("<pre>{}</pre>", escaped(&tail)) };
    let html = format!("<p>{}</p><p>{about}</p><table>{rows}</table>{shown}", escaped(&verdict));
    let id = record.report.as_ref().map(|report| report.id.clone()).unwrap_or_default();
    Message { id, subject, text: concealed(site, &text), html }
}

fn took(step: &Step) -> String {
    step.took_ms.map_or_else(String::new, |ms| format!("{}.{:01} s", ms / 1000, ms % 1000 / 100))
}

/// A text without the secrets of the configuration.
fn concealed(site: &Site, text: &str) -> String {
    let mut text = text.to_owned();
    for section in site.config.sections() {
        for (key, value) in site.config.section(section) {
            if SECRET.iter().any(|word| key.contains(word)) && value.len() >= SHORTEST {
                text = text.replace(&value, "***");
            }
        }
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
