//! One account at one server, and its orders, step by step.
//!
//! Owns what is said to the server and in which order (RFC 8555 §7.1.6). Must never wait: each step says what the server has
//! to say now, and whoever takes them decides when the next one is due, so that a step may as well be taken by the next
//! process.

use std::time::Duration;

use evenkeel_core::noun::Proof;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::exchange::Exchange;
use super::{Server, Trouble, proof};
use crate::authorities;

/// The most bytes of an order's URL, and of a token.
const URL_LIMIT: usize = 4096;
const TOKEN_LIMIT: usize = 256;

/// An account that the server knows.
pub struct Session {
    account: Account,
    exchange: Exchange,
}

/// An order that has begun.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    /// The order there.
    pub url: String,
    /// What is to be proved: nothing where the server still believes us from another time.
    pub asked: Vec<Asked>,
}

/// One name that is to be proved.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name.
    pub name: String,
    /// What the server calls the challenge by.
    pub token: String,
    /// The token, a dot, and the thumbprint of the account's key.
    pub key_authorization: String,
}

/// What became of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The server is at it: it is to be asked again, not before this time if it says so.
    Wait(Option<Duration>),
    /// The certificate and its chain, in PEM.
    Issued(String),
}

impl Session {
    /// Greets a server with the key of an account, which is made there if it is not known. The terms of service are agreed
    /// to: whoever calls this has been told so.
    ///
    /// # Errors
    /// A server that cannot be reached, does not speak ACME, or does not want us.
    pub async fn open(server: &Server, key: &[u8]) -> Result<Self, Trouble> {
        let roots = match &server.roots {
            Some(path) => authorities::of_file(path),
            None => authorities::of_the_system(),
        };
        let exchange = Exchange::new(roots.map_err(|error| Trouble::new("connection", error))?)?;
        let pair = (proof::account_key(key)?, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec())));
        let builder = Account::builder_with_http(Box::new(exchange.clone()));
        let (account, _) = builder.create_from_key(pair, server.directory.clone()).await?;
        Ok(Self { account, exchange })
    }

    /// Tells the server whom it may write to.
    ///
    /// # Errors
    /// A contact that it does not take.
    pub async fn tell_contact(&self, contact: &[String]) -> Result<(), Trouble> {
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        Ok(self.account.update_contacts(&contact).await?)
    }

    /// Begins an order, and says what is to be proved.
    ///
    /// # Errors
    /// An order that the server does not take, or a kind of proof that it does not offer.
    pub async fn begin(&self, names: &[String], proof: Proof) -> Result<Begun, Trouble> {
        let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
        let mut order = self.account.new_order(&NewOrder::new(&identifiers)).await?;
        let url = order.url().to_owned();
        if url.len() > URL_LIMIT || order.state().authorizations.len() > names.len() {
            return Err(Trouble::new("answer", "the server's order is not for what was asked"));
        }
        let mut asked: Vec<Asked> = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            let name = authorization.identifier().to_string();
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(reason(&authorization.challenges, &name)),
            }
            let kind = wire(proof);
            let Some(challenge) = authorization.challenge(kind.clone()) else {
                let text = format!("the server does not offer {} for `{name}`", word(&kind));
                return Err(Trouble::judged("unsupported", text, Some(name)));
            };
            if !names.contains(&name) || !is_token(&challenge.token) {
                return Err(Trouble::new("answer", format!("the server's challenge for `{name}` is none")));
            }
            let key_authorization = challenge.key_authorization().as_str().to_owned();
            asked.push(Asked { name, token: challenge.token.clone(), key_authorization });
        }
        Ok(Begun { url, asked })
    }

    /// Looks after an order whose challenges are answered: tells the server so, asks for the certificate once all names are
    /// proved, fetches it once it is there.
    ///
    /// # Errors
    /// An order that has come to nothing, with the server's reason; or trouble on the way, which says nothing about it.
    pub async fn pursue(
        &self,
        url: &str,
        proof: Proof,
        signing_request: impl FnOnce() -> Result<Vec<u8>, Trouble>,
    ) -> Result<Step, Trouble> {
        let mut order = self.account.order(url.to_owned()).await?;
        let wait = self.exchange.retry_after();
        match order.state().status {
            OrderStatus::Pending => {
                self.answer(&mut order, proof).await?;
                Ok(Step::Wait(wait))
            }
            OrderStatus::Ready => {
                order.finalize_csr(&signing_request()?).await?;
                Ok(Step::Wait(self.exchange.retry_after()))
            }
            OrderStatus::Processing => Ok(Step::Wait(wait)),
            OrderStatus::Valid => match order.certificate().await? {
                Some(pem) => Ok(Step::Issued(pem)),
                None => Ok(Step::Wait(wait)),
            },
            OrderStatus::Invalid => Err(self.verdict(&mut order).await?),
        }
    }

    /// Tells the server that it may look, where it was not told yet.
    async fn answer(&self, order: &mut Order, proof: Proof) -> Result<(), Trouble> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(reason(&authorization.challenges, &authorization.identifier().to_string())),
            }
            let Some(mut challenge) = authorization.challenge(wire(proof)) else { continue };
            if challenge.status == ChallengeStatus::Pending {
                challenge.set_ready().await?;
            }
        }
        Ok(())
    }

    /// Why an order is invalid: what was found amiss with a name, else what the order itself says.
    async fn verdict(&self, order: &mut Order) -> Result<Trouble, Trouble> {
        let stated = order.state().error.as_ref().map(Trouble::of_problem);
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let authorization = authorization?;
            if authorization.challenges.iter().any(|challenge| challenge.error.is_some()) {
                return Ok(reason(&authorization.challenges, &authorization.identifier().to_string()));
            }
        }
        let mut trouble = stated.unwrap_or_else(|| Trouble::of(None, Some("the server has made the order invalid")));
        trouble.problem.judged = true;
        Ok(trouble)
    }
}

/// Whether a token is made of base64url's letters (RFC 8555 §8.1), and no more of them than anybody needs.
fn is_token(token: &str) -> bool {
    (1..=TOKEN_LIMIT).contains(&token.len())
        && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// What was found amiss with a name.
fn reason(challenges: &[instant_acme::Challenge], name: &str) -> Trouble {
    let problem = challenges.iter().find_map(|challenge| challenge.error.as_ref());
    let mut trouble = match problem {
        Some(problem) => Trouble::of_problem(problem),
        None => Trouble::of(Some("unauthorized"), Some("the server holds it against us from another time")),
    };
    (trouble.problem.judged, trouble.problem.name) = (true, Some(name.to_owned()));
    trouble
}

fn wire(proof: Proof) -> ChallengeType {
    match proof {
        Proof::Http => ChallengeType::Http01,
        Proof::TlsAlpn => ChallengeType::TlsAlpn01,
    }
}

fn word(kind: &ChallengeType) -> &'static str {
    match kind {
        ChallengeType::TlsAlpn01 => "tls-alpn-01",
        _ => "http-01",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_what_could_be_anything_else() {
        let check = |token: &str, expected: bool| assert_eq!(is_token(token), expected, "{token}");
        check("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", true);
        check("", false);
        check("a/../b", false);
        check("a b", false);
        check(&"a".repeat(TOKEN_LIMIT), true);
        check(&"a".repeat(TOKEN_LIMIT + 1), false);
    }
}
