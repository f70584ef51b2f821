//! The one error value of the wire: an AWS code, a text, an HTTP status and whose fault it was.
//!
//! Which condition gives which code is decided where the condition is known (handlers, [`crate::sigv4`],
//! [`crate::query`]); how it looks on the wire is [`crate::xml`]'s.

use std::borrow::Cow;
use std::fmt;

/// Whose fault an error was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller's: status 4xx. Sending the same request again is of no use.
    Sender,
    /// The server's: status 5xx. Clients try again by themselves.
    Receiver,
}

/// An error as AWS clients know it, on its way out of the server or as the client read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Error {
    /// AWS's code, for example `LoadBalancerNotFound`: what programs compare.
    pub code: Cow<'static, str>,
    /// AWS's text: what people read.
    pub message: String,
    /// HTTP status.
    pub status: u16,
    /// Whose fault it was.
    pub fault: Fault,
}

impl Error {
    /// The caller's fault, status 400.
    pub fn sender(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: 400, fault: Fault::Sender }
    }

    /// The server's fault, status 500.
    pub fn receiver(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: 500, fault: Fault::Receiver }
    }

    /// An error as a server told it: the fault is the receiver's from status 500 up.
    pub fn told(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let error = if status < 500 { Self::sender(code, message) } else { Self::receiver(code, message) };
        error.with_status(status)
    }

    /// The same error under another HTTP status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// `ValidationError` 400: how query APIs name a value out of its bounds.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::sender("ValidationError", message)
    }

    /// `InvalidParameterValue` 400: the same in EC2.
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::sender("InvalidParameterValue", message)
    }

    /// `MissingParameter` 400: what EC2 says where a parameter is needed that only sometimes is.
    pub fn missing_parameter(name: &str) -> Self {
        Self::sender("MissingParameter", format!("The request must contain the parameter {name}"))
    }

    /// Something broke here, nothing the caller could know about: `InternalError` 500 in EC2, else `InternalFailure`.
    pub fn internal(dialect: Dialect) -> Self {
        let code = if dialect == Dialect::Ec2 { "InternalError" } else { "InternalFailure" };
        Self::receiver(code, "An internal error has occurred")
    }

    /// `InvalidAction` 400 for an action that nobody here serves.
    pub fn invalid_action(action: &str) -> Self {
        let action: String = action.chars().take(128).collect();
        Self::sender("InvalidAction", format!("The action {action} is not valid for this web service."))
    }

    /// `MissingAction` 400.
    pub fn missing_action() -> Self {
        Self::sender("MissingAction", "The request is missing an action or a required parameter.")
    }
}

/// How an API words its errors and wraps its answers. An error needs it even when nothing else about the request could
/// be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The query protocol of ELB, STS and their relatives, with the XML namespace that responses carry.
    Query {
        /// Value of `xmlns`.
        namespace: &'static str,
    },
    /// EC2's own variant of it.
    Ec2,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query { .. } => "query",
            Self::Ec2 => "ec2",
        })
    }
}
