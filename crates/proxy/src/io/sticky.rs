//! Which instance a client sticks to.
//!
//! Owns the tags that clients know instances by. Must never prefer an instance that nothing new may be sent to, or that
//! this node does not reach: then another is chosen as if nothing had been shown.

use std::rc::Rc;

use aws_lc_rs::digest::{Context, SHA256};
use evenkeel_core::balance::{Scope, Standing};

use super::view::{Lane, Place};
use crate::request::Tag;

impl Lane {
    /// What clients of this listener know an instance by. A listener to another instance port has other tags, because
    /// there it is another application.
    pub(super) fn tag(&self, place: &Place) -> Tag {
        let mut digest = Context::new(&SHA256);
        for part in [place.key.0.as_str(), &place.called, &self.via(place).port.to_string()] {
            digest.update(part.as_bytes());
            digest.update(&[0]);
        }
        let hex = |byte: &u8| [byte >> 4, byte & 15].map(|nibble| char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
        digest.finish().as_ref().iter().flat_map(hex).collect::<String>().into()
    }

    /// The instance that is known by what a client shows, where it may be sent something new.
    pub(super) fn holder(&self, shown: &[u8]) -> Option<Rc<Place>> {
        let places = &self.balancer.places;
        let tags = self.tags.get_or_init(|| places.iter().map(|place| self.tag(place)).collect());
        let at = tags.iter().position(|tag| tag.as_bytes() == shown)?;
        let reached = match self.scope {
            Scope::Zone(own) => self.balancer.zone_of.get(at) == Some(&own),
            Scope::Everyone | Scope::EqualZones => true,
        };
        places.get(at).filter(|place| reached && place.standing() == Standing::Live).cloned()
    }
}
