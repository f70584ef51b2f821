//! Private keys in Routes: sealed on the wire and on disk, opened only in the memory of the road that signs with them.
//!
//! Owns the opening, and what was opened before, so that a balancer that did not change stays the same value. Must never
//! write anything. A key that does not open is left as it is: its listener then says that it cannot use it, the others go on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::routes::{BalancerRoutes, Certificate, Challenge, Routes};

use crate::seal::{self, Seal};
use crate::sys::say;

/// Opens the keys of Routes with the seal of a data directory.
pub(super) struct Secrets {
    data_dir: PathBuf,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    seal: Option<Seal>,
    /// Balancers with keys: as they came, and opened.
    opened: BTreeMap<LoadBalancerName, (Arc<BalancerRoutes>, Arc<BalancerRoutes>)>,
}

impl Secrets {
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), held: Mutex::default() }
    }

    /// The same Routes with their keys opened; the very same where none has any.
    pub fn opened(&self, routes: &Arc<Routes>) -> Arc<Routes> {
        if !routes.balancers.values().any(|balancer| has_keys(balancer)) {
            return Arc::clone(routes);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.seal.is_none() {
            match Seal::read(&self.data_dir) {
                Ok(seal) => held.seal = Some(seal),
                Err(error) => say(&format!("road: certificates cannot be used: failed to {error}")),
            }
        }
        let mut before = std::mem::take(&mut held.opened);
        let mut balancers = BTreeMap::new();
        for (name, sealed) in &routes.balancers {
            if !has_keys(sealed) {
                balancers.insert(name.clone(), Arc::clone(sealed));
                continue;
            }
            let known = before.remove(name).filter(|(was, _)| Arc::ptr_eq(was, sealed));
            let opened = known.map_or_else(|| Arc::new(open(sealed, held.seal.as_ref())), |(_, opened)| opened);
            // What could not be opened is tried again.
            if held.seal.is_some() {
                held.opened.insert(name.clone(), (Arc::clone(sealed), Arc::clone(&opened)));
            }
            balancers.insert(name.clone(), opened);
        }
        Arc::new(Routes { generation: routes.generation, balancers })
    }
}

fn has_keys(balancer: &BalancerRoutes) -> bool {
    balancer.listeners.iter().any(|l| l.tls.as_ref().is_some_and(|tls| !tls.certificates.is_empty()))
        || balancer.challenges.iter().any(|challenge| matches!(challenge, Challenge::Tls { .. }))
}

fn open(balancer: &BalancerRoutes, seal: Option<&Seal>) -> BalancerRoutes {
    let mut balancer = balancer.clone();
    let fronts = balancer.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut());
    let challenges = balancer.challenges.iter_mut().filter_map(|challenge| match challenge {
        Challenge::Tls { certificate, .. } => Some(certificate),
        Challenge::Http { .. } => None,
    });
    for certificate in fronts.flat_map(|tls| &mut tls.certificates).chain(challenges) {
        if let Some(key) = seal.and_then(|seal| key(certificate, seal)) {
            certificate.key_pem = key;
        }
    }
    balancer
}

fn key(certificate: &Certificate, seal: &Seal) -> Option<Arc<str>> {
    let opened = seal.unseal(seal::CERTIFICATE_KEY, &certificate.key_pem);
    let opened =
        opened.inspect_err(|error| say(&format!("road: a certificate cannot be used: failed to {error}"))).ok()?;
    String::from_utf8(opened).ok().map(Arc::from)
}
