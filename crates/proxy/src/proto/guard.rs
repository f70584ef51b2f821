//! Desync mitigation: how far a request's head is from one that has a single reading, and what each mode makes of it.
//!
//! Owns AWS's classes and reasons, the three modes, and the rewriting of what has one safe reading. Must never let a
//! rewritten head pass by itself: it goes through [`super::request`] again, as strictly as any other, so that whatever
//! the mode, an instance reads only what the road wrote from what it understood. Next: `guard/classes.rs`.
//! Source: AWS, "Configure desync mitigation mode for your Classic Load Balancer"; `http_desync_guardian` 0.1.3.

mod classes;

use evenkeel_core::noun::DesyncMode;

use super::field::Name;
use super::request::{Parsed, RequestHead};
use super::scan::{Scan, Scanner, is_token_byte};

pub use classes::{classify, of_parts};
pub(super) use classes::{of_strict, resembles_framing};

/// How risky a request is, by AWS's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// As the RFCs have it.
    #[default]
    Compliant,
    /// Off the RFCs, with one reading.
    Acceptable,
    /// Servers are known to read it in different ways.
    Ambiguous,
    /// No reading is safe.
    Severe,
}

/// Why a request is not compliant, by AWS's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Reason {
    #[default]
    Compliant,
    EmptyHeader,
    SuspiciousHeader,
    NonCompliantHeader,
    BadHeader,
    AmbiguousUri,
    SpaceInUri,
    BadUri,
    NonCompliantVersion,
    BadVersion,
    BadMethod,
    UndefinedContentLengthSemantics,
    MultipleContentLength,
    DuplicateContentLength,
    BadContentLength,
    GetHeadZeroContentLength,
    UndefinedTransferEncodingSemantics,
    MultipleTransferEncodingChunked,
    BadTransferEncoding,
    BothTeClPresent,
    PartialHeaderLine,
    NonCrLfLineTermination,
    MultilineHeader,
    MissingHeaderColon,
    MissingLastEmptyLine,
    MissingUri,
}

impl Reason {
    /// How many there are, `Compliant` among them.
    pub const COUNT: usize = Self::ALL.len();
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 26] = [
        Self::Compliant,
        Self::EmptyHeader,
        Self::SuspiciousHeader,
        Self::NonCompliantHeader,
        Self::BadHeader,
        Self::AmbiguousUri,
        Self::SpaceInUri,
        Self::BadUri,
        Self::NonCompliantVersion,
        Self::BadVersion,
        Self::BadMethod,
        Self::UndefinedContentLengthSemantics,
        Self::MultipleContentLength,
        Self::DuplicateContentLength,
        Self::BadContentLength,
        Self::GetHeadZeroContentLength,
        Self::UndefinedTransferEncodingSemantics,
        Self::MultipleTransferEncodingChunked,
        Self::BadTransferEncoding,
        Self::BothTeClPresent,
        Self::PartialHeaderLine,
        Self::NonCrLfLineTermination,
        Self::MultilineHeader,
        Self::MissingHeaderColon,
        Self::MissingLastEmptyLine,
        Self::MissingUri,
    ];

    /// Its number.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The class of a request, and the first reason for no better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// How risky it is.
    pub tier: Tier,
    /// Why.
    pub reason: Reason,
}

impl Finding {
    pub(super) fn new(tier: Tier, reason: Reason) -> Self {
        Self { tier, reason }
    }

    /// Whether it counts in `DesyncMitigationMode_NonCompliant_Request_Count`.
    #[must_use]
    pub fn is_compliant(self) -> bool {
        self.tier == Tier::Compliant
    }

    pub(super) fn raise(&mut self, tier: Tier, reason: Reason) {
        if tier > self.tier {
            *self = Self { tier, reason };
        }
    }
}

/// What a mode makes of a request that the road understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Carried on.
    Pass,
    /// Carried on, and the client's and the instance's connections are closed after it.
    PassAlone,
    /// Refused with 400.
    Refuse,
}

/// The table of modes.
#[must_use]
pub fn treat(finding: Finding, mode: DesyncMode) -> Treatment {
    match (finding.tier, mode) {
        (Tier::Compliant, _) => Treatment::Pass,
        (_, DesyncMode::Strictest) | (Tier::Severe, _) => Treatment::Refuse,
        (Tier::Acceptable, _) => Treatment::Pass,
        (Tier::Ambiguous, DesyncMode::Defensive) => Treatment::PassAlone,
        // Only counted; but after a length beside a coding the connection must be closed (RFC 9112 §6.1).
        (Tier::Ambiguous, DesyncMode::Monitor) if finding.reason == Reason::BothTeClPresent => Treatment::PassAlone,
        (Tier::Ambiguous, DesyncMode::Monitor) => Treatment::Pass,
    }
}

/// A request that was refused as it is, but has one safe reading.
#[derive(Debug)]
pub struct Rescued {
    /// Its head written anew.
    pub clean: Vec<u8>,
    /// What that says.
    pub head: Box<RequestHead>,
    /// Bytes of the original that it stands for.
    pub used: usize,
    /// Why it had to be.
    pub finding: Finding,
}

/// Looks once more at bytes whose head was refused: `Ok` where the mode lets it pass rewritten.
pub fn rescue(bytes: &[u8], mode: DesyncMode) -> Result<Rescued, Finding> {
    let (start, end) = match Scanner::default().search(bytes, true) {
        Scan::Head { start, end } => (start, end),
        Scan::Broken => return Err(broken(bytes)),
        Scan::More | Scan::LineTooLong | Scan::TooLong => return Err(Finding::default()),
    };
    let finding = classify(&bytes[start..end]);
    if treat(finding, mode) == Treatment::Refuse || finding.is_compliant() {
        return Err(finding);
    }
    let clean = rewrite(&bytes[start..end], mode).ok_or(finding)?;
    match RequestHead::read(&clean, &mut Scanner::default()) {
        Parsed::Head(head) if head.len == clean.len() => {
            Ok(Rescued { clean, head: Box::new(head), used: end, finding })
        }
        _ => Err(finding),
    }
}

/// What is known of bytes that no head can begin with, or whose line ends are of two kinds.
fn broken(bytes: &[u8]) -> Finding {
    let first = bytes.strip_prefix(b"\r\n").unwrap_or(bytes).first();
    match first {
        Some(byte) if is_token_byte(*byte) => Finding::new(Tier::Acceptable, Reason::NonCrLfLineTermination),
        _ => Finding::new(Tier::Severe, Reason::BadMethod),
    }
}

/// Writes a head anew, where that needs no guess:
/// - all lines end in LF (a mixture of line ends was refused before);
/// - blanks behind the version;
/// - controls other than NUL, CR and LF in values that decide nothing, as spaces (RFC 9110 §5.5);
/// - names that are no tokens, without blanks in them: such a field is dropped;
/// - the same length twice: one is kept;
/// - `monitor` only: a length beside `chunked` is dropped (RFC 9112 §6.3), and a folded value that decides nothing and
///   holds no colon is unfolded (RFC 9112 §5.2).
fn rewrite(head: &[u8], mode: DesyncMode) -> Option<Vec<u8>> {
    let lenient = mode == DesyncMode::Monitor;
    let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut out = Vec::with_capacity(head.len() + 64);
    out.extend_from_slice(trim_end(lines.next()?));
    let chunked = lenient && has_field(head, Name::TransferEncoding);
    let mut length: Option<&[u8]> = None;
    // Whether the line before is a field that may go on in the next.
    let mut folds = false;
    for line in lines {
        if line.is_empty() {
            break;
        }
        if is_blank(line[0]) {
            if !lenient || !folds || line.contains(&b':') {
                return None;
            }
            out.push(b' ');
            push_value(line.trim_ascii(), &mut out)?;
            continue;
        }
        let colon = line.iter().position(|b| *b == b':').filter(|at| *at > 0)?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        // A server must refuse white space there (RFC 9112 §5.1); NUL and CR are for no one to guess at.
        if name.iter().any(|b| matches!(b, b' ' | b'\t' | 0 | b'\r')) {
            return None;
        }
        folds = false;
        if !name.iter().all(|b| is_token_byte(*b)) {
            continue;
        }
        let kind = Name::read(name);
        if kind == Name::ContentLength {
            if chunked || length.is_some_and(|before| before == value) {
                continue;
            }
            length = Some(value);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        if kind == Name::Other {
            push_value(value, &mut out)?;
            folds = true;
        } else {
            out.extend_from_slice(value);
        }
    }
    out.extend_from_slice(b"\r\n\r\n");
    Some(out)
}

fn has_field(head: &[u8], kind: Name) -> bool {
    let names = head.split(|b| *b == b'\n').filter_map(|line| line.split(|b| *b == b':').next());
    names.into_iter().any(|name| Name::read(name) == kind)
}

fn push_value(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    for byte in value {
        match byte {
            0 | b'\r' | b'\n' => return None,
            b'\t' => out.push(b'\t'),
            ..0x20 | 0x7f => out.push(b' '),
            other => out.push(*other),
        }
    }
    Some(())
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|b| !is_blank(*b)).map_or(0, |last| last + 1);
    &bytes[..len]
}

fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = trim_end(bytes);
    let from = bytes.iter().position(|b| !is_blank(*b)).unwrap_or(bytes.len());
    &bytes[from..]
}

#[cfg(test)]
mod tests;
