//! Whom SSL and HTTPS checks believe, where a listener says by which public keys its instances are known.
//!
//! Owns which listener's keys a check goes by: those of the listener that speaks TLS to the port that is checked. Must never
//! judge a key: [`crate::tls`] does.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::noun::{CheckProtocol, HealthTarget};
use evenkeel_core::routes::{BalancerRoutes, Routes};
use rustls::ClientConfig;

use crate::tls::TlsFault;
use crate::tls::back::for_checks_of;

/// How a check speaks, or why it cannot.
pub(super) type Pinned = Result<Arc<ClientConfig>, TlsFault>;

/// Settings by balancer, as long as its keys stay the same.
#[derive(Default)]
pub(super) struct Pins(BTreeMap<LoadBalancerName, (Vec<Arc<str>>, Pinned)>);

impl Pins {
    /// Forgets balancers that are not in these Routes.
    pub(super) fn retain(&mut self, routes: &Routes) {
        self.0.retain(|name, _| routes.balancers.contains_key(name));
    }

    /// For a check of a target of this balancer at that port. `None`: whoever answers is believed.
    pub(super) fn settings(&mut self, balancer: &BalancerRoutes, port: u16) -> Option<Pinned> {
        let keys = keys(balancer, port)?;
        if let Some((known, pinned)) = self.0.get(&balancer.name)
            && known == keys
        {
            return Some(pinned.clone());
        }
        let pinned = for_checks_of(keys);
        self.0.insert(balancer.name.clone(), (keys.to_vec(), pinned.clone()));
        Some(pinned)
    }
}

/// The keys that hold for a check at that port: those of the listener that speaks to it. A target that has a port of its own
/// stands behind every listener: for it, those of the first that has some.
fn keys(balancer: &BalancerRoutes, port: u16) -> Option<&[Arc<str>]> {
    let HealthTarget { protocol: CheckProtocol::Ssl | CheckProtocol::Https, port: asked, .. } =
        &balancer.health_check.target
    else {
        return None;
    };
    let own_port = asked.number() != port;
    let secure = balancer.listeners.iter().filter(|listener| listener.instance_protocol.is_secure());
    let fitting = secure.filter(|listener| own_port || listener.instance_port == *asked);
    let mut keys = fitting.filter_map(|listener| listener.instance_tls.as_ref().map(|tls| &*tls.public_keys));
    keys.find(|keys| !keys.is_empty())
}
