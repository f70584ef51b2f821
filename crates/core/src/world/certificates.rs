//! What may happen to certificates.
//!
//! Owns their names' uniqueness and that none goes while a listener shows it. Must never look into one: what it says was read
//! before it came here ([`crate::noun::certificate::Facts`]). Next: [`super::requests`] for those that are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::Reply;
use crate::name::CertificateArn;
use crate::noun::{Certificate, CertificateOrigin, LoadBalancer, Material};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The most certificates there may be.
pub const MOST_CERTIFICATES: usize = 2000;

impl World {
    pub(super) fn create_certificate(&self, new: &Certificate, now: Timestamp) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        if let Some(name) = new.name()
            && self.certificates().any(|held| held.name().is_some_and(|taken| taken.eq_ignore_ascii_case(name)))
        {
            return Err(Refusal::CertificateTaken(name.to_owned()));
        }
        if self.certificate(&new.arn).is_some() {
            return Err(Refusal::IdTaken(new.arn.to_string()));
        }
        if let Some(same) = self.repeated(new, now) {
            return Ok(Decision::unchanged(Reply::Certificate(same.arn.clone())));
        }
        let limit = MOST_CERTIFICATES;
        if self.certificates().count() >= limit {
            return Err(Refusal::TooManyCertificates { limit });
        }
        Ok(put(new.clone()))
    }

    pub(super) fn replace_certificate(
        &self,
        arn: &CertificateArn,
        material: &Material,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let mut certificate = self.existing_certificate(arn)?.as_ref().clone();
        if let CertificateOrigin::Requested(requested) = &mut certificate.origin {
            requested.fulfilled(certificate.material.is_some().then_some(now));
        }
        certificate.material = Some(material.clone());
        certificate.imported = now;
        Ok(put(certificate))
    }

    pub(super) fn rename_certificate(
        &self,
        arn: &CertificateArn,
        to: &CertificateArn,
        name: &str,
        path: &str,
    ) -> Result<Decision, Refusal> {
        let held = self.existing_certificate(arn)?;
        let CertificateOrigin::Uploaded { id, .. } = &held.origin else {
            return Err(Refusal::NoSuchCertificate(arn.clone()));
        };
        let others = self.certificates().filter(|other| other.arn != *arn);
        if others.filter_map(|other| other.name()).any(|taken| taken.eq_ignore_ascii_case(name)) {
            return Err(Refusal::CertificateTaken(name.to_owned()));
        }
        if to != arn && self.certificate(to).is_some() {
            return Err(Refusal::IdTaken(to.to_string()));
        }
        let origin = CertificateOrigin::Uploaded { name: name.to_owned(), path: path.to_owned(), id: id.clone() };
        let renamed = Certificate { arn: to.clone(), origin, ..held.as_ref().clone() };
        let mut writes: Vec<Write> =
            self.users_of(arn).map(|lb| Write::Put(Row::LoadBalancer(shown_by(lb, arn, to)))).collect();
        if to != arn {
            writes.push(Write::Remove(Key::Certificate(arn.clone())));
        }
        writes.push(Write::Put(Row::Certificate(renamed)));
        Ok(Decision { reply: Reply::Done, writes })
    }

    pub(super) fn delete_certificate(&self, arn: &CertificateArn) -> Result<Decision, Refusal> {
        let held = self.existing_certificate(arn)?;
        if let Some(user) = self.users_of(arn).next() {
            let certificate = match &held.origin {
                CertificateOrigin::Uploaded { id, .. } => id.clone(),
                CertificateOrigin::Imported | CertificateOrigin::Requested(_) => arn.to_string(),
            };
            return Err(Refusal::CertificateInUse { certificate, user: user.name.clone() });
        }
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::Certificate(arn.clone()))] })
    }

    pub(super) fn tag_certificate(
        &self,
        arn: &CertificateArn,
        new: &BTreeMap<String, String>,
    ) -> Result<Decision, Refusal> {
        tags::check(new, tags::PER_RESOURCE)?;
        let mut certificate = self.existing_certificate(arn)?.as_ref().clone();
        certificate.tags.extend(new.clone());
        tags::check(&certificate.tags, tags::PER_RESOURCE)?;
        Ok(put(certificate))
    }

    pub(super) fn untag_certificate(
        &self,
        arn: &CertificateArn,
        gone: &[(String, Option<String>)],
    ) -> Result<Decision, Refusal> {
        let mut certificate = self.existing_certificate(arn)?.as_ref().clone();
        let goes = |key: &String, value: &String| {
            gone.iter().any(|(k, v)| k == key && v.as_ref().is_none_or(|wanted| wanted == value))
        };
        certificate.tags.retain(|key, value| !goes(key, value));
        Ok(put(certificate))
    }

    /// The balancers that show a certificate.
    pub fn users_of(&self, arn: &CertificateArn) -> impl Iterator<Item = &Arc<LoadBalancer>> {
        let shows = move |lb: &&Arc<LoadBalancer>| lb.listeners.iter().any(|l| l.certificate.as_ref() == Some(arn));
        self.load_balancers().filter(shows)
    }

    /// Whether a listener can show a certificate now.
    pub(super) fn usable_certificate(&self, arn: &CertificateArn) -> Result<(), Refusal> {
        match &self.existing_certificate(arn)?.material {
            Some(_) => Ok(()),
            None => Err(Refusal::CertificatePending(arn.clone())),
        }
    }

    pub(super) fn existing_certificate(&self, arn: &CertificateArn) -> Result<&Arc<Certificate>, Refusal> {
        self.certificate(arn).ok_or_else(|| Refusal::NoSuchCertificate(arn.clone()))
    }
}

pub(super) fn put(certificate: Certificate) -> Decision {
    Decision { reply: Reply::Done, writes: vec![Write::Put(Row::Certificate(certificate))] }
}

/// A balancer whose listeners show `to` where they showed `from`.
fn shown_by(lb: &LoadBalancer, from: &CertificateArn, to: &CertificateArn) -> LoadBalancer {
    let mut lb = lb.clone();
    for listener in &mut lb.listeners {
        if listener.certificate.as_ref() == Some(from) {
            listener.certificate = Some(to.clone());
        }
    }
    lb
}
