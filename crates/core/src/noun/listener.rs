//! Listeners: the ports a load balancer answers on. Owns the protocols and which of them may stand together.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{CertificateArn, PolicyName, Port};

/// What a listener speaks to clients, or to instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// HTTP/1 requests, one by one.
    Http,
    /// HTTP inside TLS that the balancer terminates.
    Https,
    /// Bytes.
    Tcp,
    /// Bytes inside TLS that the balancer terminates.
    Ssl,
}

impl Listener {
    /// Whether another is the same but for its policies, which are set by calls of their own.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let settings = |l: &Self| (l.port, l.protocol, l.instance_port, l.instance_protocol, l.certificate.clone());
        settings(self) == settings(other)
    }
}

impl Protocol {
    /// Reads a protocol in any case, as AWS does (boto 2 sends `http`). `None` for an unknown one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https, Self::Tcp, Self::Ssl].into_iter().find(|p| p.as_str().eq_ignore_ascii_case(text))
    }

    /// The protocol as AWS writes it, in upper case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
            Self::Ssl => "SSL",
        }
    }

    /// Whether the balancer sees requests (HTTP, HTTPS) rather than bytes.
    #[must_use]
    pub fn sees_requests(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether the bytes on the wire are inside TLS.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Ssl)
    }

    /// What instances are spoken to when a listener does not say: the plain protocol of the same layer.
    #[must_use]
    pub fn plain(self) -> Self {
        if self.sees_requests() { Self::Http } else { Self::Tcp }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One port of a load balancer and where its traffic goes on each instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The port clients connect to.
    pub port: Port,
    /// What clients speak.
    pub protocol: Protocol,
    /// The port on each instance.
    pub instance_port: Port,
    /// What instances are spoken to; the same layer as `protocol`.
    pub instance_protocol: Protocol,
    /// The certificate that an HTTPS or SSL listener shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateArn>,
    /// Its policies, in the order in which they were set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyName>,
}
