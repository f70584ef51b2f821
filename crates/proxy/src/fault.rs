//! What can go wrong on the road: whose fault it is, whether another try is allowed, and what the client is told.
//!
//! Owns the one table of all that. Must never decide what happens next by itself: [`crate::request`] asks it.
//! Texts are those seen live from Classic Load Balancers (`docs/spec.md`; AWS, "Troubleshoot a Classic Load Balancer").

/// A failure of one exchange or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The request breaks the grammar, or its framing is ambiguous.
    BadRequest,
    /// The method is longer than 127 bytes.
    MethodTooLong,
    /// The client did not finish its request in time.
    RequestTimeout,
    /// The client asks for an expectation other than `100-continue`.
    ExpectationFailed,
    /// The head is longer than 64 KiB, or has more than 128 fields; or than its balancer allows.
    HeadTooLarge,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// A major version of HTTP other than 1.
    UnknownVersion,
    /// The client asks for a WebSocket where instances are spoken to in HTTP/2.
    NoUpgrade,
    /// The client left before it was answered.
    ClientGone,
    /// The client stopped reading its answer.
    ClientStalled,
    /// The client's TLS handshake failed for want of something that both sides have.
    HandshakeFailed,
    /// No instance may be sent requests.
    NoTarget,
    /// Every instance has as much in flight as it may, and as many wait as may.
    QueueFull,
    /// No instance was free for as long as it may wait.
    QueueTimeout,
    /// A connection to an instance was refused, timed out, or had no route.
    ConnectFailed,
    /// The instance's certificate or its key is not among those that are to be believed.
    NotTrusted,
    /// The instance closed or reset the connection before the first byte of an answer.
    ClosedBeforeAnswer,
    /// The instance said nothing for the idle timeout.
    SilentInstance,
    /// The instance's answer breaks the grammar, or its framing is ambiguous.
    BadAnswer,
    /// The instance's answer ended before it was complete.
    TruncatedAnswer,
    /// Draining took longer than allowed, or the road was stopped.
    Cut,
}

/// Who has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Who sent the request.
    Client,
    /// Who should have answered it.
    Instance,
    /// The balancer, or who configured it.
    Balancer,
}

/// When the same request may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never.
    Never,
    /// Always: nothing was sent.
    Always,
    /// When the instance cannot have acted on it twice: the method is idempotent and the whole request is still held,
    /// or the kernel took no byte of it.
    IfHarmless,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Who has to mend it.
    pub blame: Blame,
    /// When the same request may be tried again.
    pub retry: Retry,
    /// The status of the balancer's own answer; zero where there is nobody left to tell.
    pub status: u16,
    /// The status line's reason.
    pub reason: &'static str,
    /// Whether the client's connection is closed after it.
    pub close: bool,
}

impl Fault {
    /// All of them, in the order of their index.
    pub const ALL: [Self; 21] = [
        Self::BadRequest,
        Self::MethodTooLong,
        Self::RequestTimeout,
        Self::ExpectationFailed,
        Self::HeadTooLarge,
        Self::UnknownCoding,
        Self::UnknownVersion,
        Self::NoUpgrade,
        Self::ClientGone,
        Self::ClientStalled,
        Self::HandshakeFailed,
        Self::NoTarget,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::ConnectFailed,
        Self::NotTrusted,
        Self::ClosedBeforeAnswer,
        Self::SilentInstance,
        Self::BadAnswer,
        Self::TruncatedAnswer,
        Self::Cut,
    ];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its place in [`Fault::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The table.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        use Blame::{Balancer, Client, Instance};
        use Retry::{Always, IfHarmless, Never};
        let (blame, retry, status, reason, close) = match self {
            Self::BadRequest => (Client, Never, 400, "BAD_REQUEST", true),
            Self::MethodTooLong => (Client, Never, 405, "METHOD_NOT_ALLOWED", true),
            Self::RequestTimeout => (Client, Never, 408, "REQUEST_TIMEOUT", true),
            Self::ExpectationFailed => (Client, Never, 417, "EXPECTATION_FAILED", true),
            Self::HeadTooLarge => (Client, Never, 431, "REQUEST_HEADER_FIELDS_TOO_LARGE", true),
            Self::UnknownCoding => (Client, Never, 501, "NOT_IMPLEMENTED", true),
            Self::UnknownVersion => (Client, Never, 505, "HTTP_VERSION_NOT_SUPPORTED", true),
            Self::NoUpgrade => (Balancer, Never, 501, "NOT_IMPLEMENTED", true),
            Self::ClientGone | Self::ClientStalled | Self::HandshakeFailed => (Client, Never, 0, "", true),
            Self::NoTarget | Self::QueueFull | Self::QueueTimeout => {
                (Balancer, Never, 503, "Service Unavailable: Back-end server is at capacity", false)
            }
            Self::ConnectFailed | Self::NotTrusted => {
                (Instance, Always, 503, "Service Unavailable: Back-end server is at capacity", false)
            }
            Self::ClosedBeforeAnswer => (Instance, IfHarmless, 504, "GATEWAY_TIMEOUT", false),
            Self::SilentInstance => (Instance, Never, 504, "GATEWAY_TIMEOUT", false),
            Self::BadAnswer => (Instance, Never, 502, "BAD_GATEWAY", true),
            Self::TruncatedAnswer => (Instance, Never, 0, "", true),
            Self::Cut => (Balancer, Never, 504, "GATEWAY_TIMEOUT", true),
        };
        Verdict { blame, retry, status, reason, close }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_what_aws_shows() {
        for (index, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(fault.index(), index);
            let verdict = fault.verdict();
            assert!(verdict.blame != Blame::Client || verdict.retry == Retry::Never, "{fault:?}");
            assert!(verdict.status == 0 || !verdict.reason.is_empty(), "{fault:?}");
        }
        assert_eq!(Fault::NoTarget.verdict().reason, "Service Unavailable: Back-end server is at capacity");
        assert!(!Fault::SilentInstance.verdict().close);
        assert!(Fault::RequestTimeout.verdict().close);
    }
}
