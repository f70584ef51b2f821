//! One request of a client that sticks to an instance.
//!
//! Owns when the client is told, and what. Must never choose an instance: the driver does, by [`Stick::shown`].
//! How it is spelled: [`crate::proto::cookie`].

use evenkeel_core::routes::Stickiness;

use super::Session;
use crate::proto::{RequestHead, ResponseHead, cookie};

/// What clients know an instance by: says nothing of it to who does not know its id, and is the same on every node and
/// after a restart.
pub type Tag = std::sync::Arc<str>;

#[derive(Debug)]
pub(super) struct Stick {
    rule: Stickiness,
    shown: Option<Box<[u8]>>,
    held: Option<Tag>,
}

impl Stick {
    pub(super) fn new(rule: &Stickiness, bytes: &[u8], head: &RequestHead) -> Self {
        // Without the application's cookie its session is over.
        let lasts = match rule {
            Stickiness::Duration(_) => true,
            Stickiness::Application(name) => cookie::shown(bytes, &head.fields, name).is_some(),
        };
        let shown = if lasts { cookie::own(bytes, &head.fields) } else { None };
        Self { rule: rule.clone(), shown: shown.map(Into::into), held: None }
    }

    pub(super) fn shown(&self) -> Option<&[u8]> {
        self.shown.as_deref()
    }

    pub(super) fn held_by(&mut self, tag: &Tag) {
        self.held = Some(Tag::clone(tag));
    }

    /// Appends the field lines by which the client of this answer sticks to the instance that gave it; none where it does
    /// so already.
    pub(super) fn say(&self, bytes: &[u8], head: &ResponseHead, out: &mut Vec<u8>) {
        let Some(tag) = self.held.as_deref().map(str::as_bytes) else { return };
        let moved = self.shown() != Some(tag);
        match &self.rule {
            Stickiness::Duration(period) if moved => cookie::for_a_while(tag, *period, out),
            Stickiness::Duration(_) => {}
            Stickiness::Application(name) => match cookie::set_anew(bytes, &head.fields, name) {
                Some(attributes) => cookie::as_the_application(tag, attributes, out),
                // Its instance is gone; the session goes on with the one that took over.
                None if moved && self.shown.is_some() => cookie::for_a_while(tag, None, out),
                None => {}
            },
        }
    }
}

impl Session {
    /// Sets what makes requests, from the next one on, go to the same instance.
    pub fn stick_by(&mut self, stickiness: Option<&Stickiness>) {
        if self.stickiness.as_ref() != stickiness {
            self.stickiness = stickiness.cloned();
        }
    }

    /// Whether it matters which instance is chosen, beyond this request: then [`Session::held_by`] wants to be told.
    #[must_use]
    pub fn sticks(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.stick.is_some())
    }

    /// What its client shows of the instance that it sticks to.
    #[must_use]
    pub fn shown(&self) -> Option<&[u8]> {
        self.exchange.as_ref()?.stick.as_ref()?.shown()
    }

    /// The instance that was chosen is known to clients by this tag.
    pub fn held_by(&mut self, tag: &Tag) {
        if let Some(stick) = self.exchange.as_mut().and_then(|exchange| exchange.stick.as_mut()) {
            stick.held_by(tag);
        }
    }
}
