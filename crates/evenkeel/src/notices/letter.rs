//! Delivery by e-mail: what a subscriber reads, and through which server it goes.
//!
//! Owns the daemon's own settings for mail, a file in boto's format. Must never show what is secret in them, and never send one mail to
//! more than the one address that agreed. Next: [`crate::mail`], which speaks to the server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use evenkeel_core::noun::{DeliveryProtocol, Subscription};

use super::document;
use super::{Ended, Kind, Notice};
use crate::boot::ini::Ini;
use crate::mail::{self, Message, SendError, Settings};

/// Where the settings stand in their file.
const SECTION: &str = "Notification";
/// Bytes of such a file.
const MOST_BYTES: u64 = 64 << 10;
/// Whom settings are tried with.
const SOMEBODY: &str = "somebody@localhost";

/// Through which server mails go: boto's keys, without recipients.
pub struct Server(BTreeMap<String, String>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Server {
    /// Reads `[Notification]` of a file.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn open(path: &Path) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("read `{}`: {error}", path.display());
        let mut text = String::new();
        let file = File::open(path).map_err(|error| named(&error))?;
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| named(&error))?;
        let keys = Ini::read(&text).map_err(|error| named(&error))?.section(SECTION);
        if keys.is_empty() {
            return Err(named(&format!("it has no `[{SECTION}]`")));
        }
        let server = Self(keys);
        server.settings(SOMEBODY, "").map_err(|why| named(&why))?;
        Ok(server)
    }

    fn settings(&self, to: &str, name: &str) -> Result<Settings, String> {
        let mut keys = self.0.clone();
        keys.insert("smtp_to".into(), to.to_owned());
        // The topic's name is the sender's, where it can be: a mailbox has no place for every character.
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ').collect();
        if let Some(from) = self.0.get("smtp_from").filter(|from| from.contains('@') && !from.contains('<'))
            && !name.trim().is_empty()
        {
            keys.insert("smtp_from".into(), format!("{} <{from}>", name.trim()));
        }
        match Settings::read(&keys) {
            Ok(Some(settings)) => Ok(settings),
            Ok(None) => Err("there is nobody to send it to".into()),
            Err(bad) => Err(format!("failed to {bad}")),
        }
    }

    /// Sends a notice to a subscriber, and says what came of it; `name` is the topic's.
    #[must_use]
    pub fn send(&self, notice: &Notice, to: &Subscription, name: &str) -> Ended {
        let settings = match self.settings(&to.endpoint, name) {
            Ok(settings) => settings,
            Err(why) => return Ended::Refused(why),
        };
        match mail::send(&settings, &message(notice, to)) {
            Ok(()) => Ended::Delivered,
            Err(SendError::Temporary(why)) => Ended::Failed(format!("failed to {why}")),
            Err(SendError::Permanent(why)) => Ended::Refused(format!("failed to {why}")),
        }
    }
}

fn message(notice: &Notice, to: &Subscription) -> Message {
    let topic = &notice.topic;
    let (subject, text, html) = match &notice.kind {
        Kind::SubscriptionConfirmation { token } => {
            let url = document::subscribe_url(notice, token);
            let (asked, how) = (
                format!("You have chosen to subscribe to the topic {topic}."),
                "To confirm this subscription, visit the link below. If this was in error, no action is necessary.",
            );
            let text = format!("{asked}\n\n{how}\n{url}\n");
            let html = format!("<p>{}</p><p>{how}</p><p>{}</p>", escaped(&asked), link(&url));
            ("AWS Notification - Subscription Confirmation".to_owned(), text, html)
        }
        Kind::Notification => {
            let url = document::unsubscribe_url(notice, to);
            let subject = notice.subject.clone().unwrap_or_else(|| "AWS Notification Message".into());
            let body = match to.protocol {
                DeliveryProtocol::EmailJson => document::json(notice, to),
                _ => notice.text_for(to.protocol.as_str()).to_owned(),
            };
            let how = "To stop receiving notifications from this topic, visit the link below to unsubscribe:";
            let html = format!("<pre>{}</pre><p>{how} {}</p>", escaped(&body), link(&url));
            // A document is for programs: nothing but it is in the plain part.
            let text = match to.protocol {
                DeliveryProtocol::EmailJson => body,
                _ => format!("{body}\n\n--\n{how}\n{url}\n"),
            };
            (subject, text, html)
        }
    };
    let own = to.arn.as_str().rsplit(':').next().unwrap_or_default();
    Message { id: format!("{}.{own}@evenkeel", notice.id), subject, text, html }
}

fn link(url: &str) -> String {
    format!("<a href=\"{0}\">{0}</a>", escaped(url))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
