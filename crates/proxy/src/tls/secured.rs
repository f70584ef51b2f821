//! One listener's TLS settings as they are driven by, and what is wrong with those that are wanted.
//!
//! Owns what survives a change of Routes: settings that did not change are not read again, and where new ones are no
//! good the old ones go on. Must never bind: [`crate::road`] does.

use std::sync::Arc;

use evenkeel_core::routes::{ListenerRoute, TlsBack};

use super::TlsFault;
use super::back::Back;
use super::front::Front;
use super::tickets::TicketKey;

/// A listener's TLS in both directions, where it has one.
#[derive(Debug, Default)]
pub(crate) struct Secured {
    pub(crate) front: Option<Arc<Front>>,
    pub(crate) back: Option<Arc<Back>>,
    /// What is wrong with what Routes want.
    pub(crate) fault: Option<String>,
}

impl Secured {
    /// `before` is the listener on the same port until now; `inherited` are the keys of its tickets in the road before.
    pub(crate) fn new(
        listener: &ListenerRoute,
        before: Option<(&ListenerRoute, &Self)>,
        inherited: &[TicketKey],
    ) -> Self {
        let mut secured = Self::default();
        if listener.protocol.is_secure() {
            let known = before.filter(|(old, _)| old.protocol == listener.protocol);
            let old = known.and_then(|(_, secured)| secured.front.clone());
            let unchanged = known.is_some_and(|(old, was)| {
                old.tls == listener.tls && old.speaks_http2() == listener.speaks_http2() && was.fault.is_none()
            });
            let spoken: &[&[u8]] = match (listener.speaks_http2(), listener.protocol.sees_requests()) {
                (true, _) => &[b"h2", b"http/1.1"],
                (false, true) => &[b"http/1.1"],
                (false, false) => &[],
            };
            secured.front = match old.clone().filter(|_| unchanged) {
                Some(front) => Some(front),
                None => match &listener.tls {
                    Some(wanted) => {
                        let made = Front::new(wanted, spoken, old.as_deref(), inherited).map(Arc::new);
                        secured.or_before(made, old)
                    }
                    None => secured.or_before(Err(TlsFault::NoCertificate), None),
                },
            };
        }
        if listener.instance_protocol.is_secure() {
            let old = before.and_then(|(_, secured)| secured.back.clone());
            let unchanged =
                before.is_some_and(|(old, was)| old.instance_tls == listener.instance_tls && was.fault.is_none());
            secured.back = match old.clone().filter(|_| unchanged) {
                Some(back) => Some(back),
                None => {
                    let made = Back::new(listener.instance_tls.as_ref().unwrap_or(&TlsBack::default())).map(Arc::new);
                    // Never the old ones here: whoever asks that instances be verified must not be served without.
                    secured.or_before(made, None)
                }
            };
        }
        secured
    }

    /// Whether the listener can be served.
    pub(crate) fn serves(&self, listener: &ListenerRoute) -> bool {
        (self.front.is_some() || !listener.protocol.is_secure())
            && (self.back.is_some() || !listener.instance_protocol.is_secure())
    }

    fn or_before<T>(&mut self, made: Result<T, TlsFault>, before: Option<T>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(fault) => {
                let rest = if before.is_some() { "; those before go on being shown" } else { "" };
                self.fault = Some(format!("{fault}{rest}"));
                before
            }
        }
    }
}
