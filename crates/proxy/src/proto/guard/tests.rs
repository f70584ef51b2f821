//! The guard's classes, case by case, and beside AWS's own `http_desync_guardian`.

use http_desync_guardian::request_analyzer::{HttpHeader, HttpRequestData};
use http_desync_guardian::{ClassificationReason, RequestSafetyTier};
use proptest::prelude::*;

use super::*;

fn tier(tier: RequestSafetyTier) -> Tier {
    match tier {
        RequestSafetyTier::Compliant => Tier::Compliant,
        RequestSafetyTier::Acceptable => Tier::Acceptable,
        RequestSafetyTier::Ambiguous => Tier::Ambiguous,
        RequestSafetyTier::Severe => Tier::Severe,
    }
}

/// The oracle's word on a head as it came.
fn oracle(head: &[u8]) -> (Tier, ClassificationReason) {
    let result = HttpRequestData::analyze_raw_request(head);
    (tier(result.tier), result.reason)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, if byte == b'\\' { bytes.next() } else { None }) {
            (_, Some(b'x')) => {
                let digit = |b: Option<u8>| char::from(b.unwrap()).to_digit(16).unwrap() as u8;
                out.push(digit(bytes.next()) << 4 | digit(bytes.next()));
            }
            (_, Some(b't')) => out.push(b'\t'),
            (_, Some(b'n')) => out.push(b'\n'),
            (_, Some(b'r')) => out.push(b'\r'),
            (_, Some(other)) => out.push(other),
            (byte, None) => out.push(byte),
        }
    }
    out
}

/// Where we class a case of the oracle's in another way, and why. There is none.
const DISAGREEMENTS: [(&str, Tier, &str); 0] = [];

#[test]
fn the_oracles_own_cases_are_classed_as_it_does() {
    let mut seen = 0;
    for block in include_str!("cases.txt").split("\n= ").skip(1) {
        let mut lines = block.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
        let name = lines.next().unwrap();
        let (expected, reason) = lines.next().unwrap().split_once('\t').unwrap();
        let start: Vec<_> = lines.next().unwrap().split('\t').map(unescape).collect();
        let fields: Vec<(Vec<u8>, Vec<u8>)> = lines
            .map(|line| line.split_once('\t').unwrap())
            .map(|(name, value)| (unescape(name), unescape(value)))
            .collect();
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let ours = of_parts(&start[0], &start[1], &start[2], &fields, Finding::default());
        let told = HttpRequestData {
            method: &start[0],
            uri: &start[1],
            version: &start[2],
            headers: fields.iter().map(|(name, value)| HttpHeader::new(name, value)).collect(),
        }
        .analyze_parsed_request();
        assert_eq!(format!("{:?}", tier(told.tier)), expected, "the oracle itself: {name}");
        match DISAGREEMENTS.iter().find(|(known, ..)| *known == name) {
            Some((_, tier, _)) => assert_eq!(ours.tier, *tier, "{name}"),
            None => {
                assert_eq!(ours.tier, tier(told.tier), "{name}: {:?} or {:?}", ours.reason, told.reason);
                assert_eq!(format!("{:?}", ours.reason), reason, "{name}");
            }
        }
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}

/// Kinds of raw heads that we class in another way than the oracle, and why.
type Kind = (&'static str, fn(&str) -> bool);
const DIFFERS: [Kind; 2] = [
    ("anything that sorts behind HTTP/2 is not looked at by the oracle; what the road reads here is HTTP/1", |head| {
        let line = head.lines().next().unwrap_or_default();
        line.rsplit(' ').any(|word| word >= "HTTP/2" && !word.starts_with('/'))
    }),
    ("no digits at all are 0 to the oracle; to us they are no number", |head| {
        let empty = |line: &str| {
            line.split_once(':')
                .is_some_and(|(name, value)| resembles_length(name) && value.trim_matches([' ', '\t', '\r']).is_empty())
        };
        head.split('\n').any(empty)
    }),
];

fn resembles_length(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length") || resembles_framing(name.as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_heads_are_classed_as_the_oracle_does(
        line in "(GET|POST|HEAD|P\x01|)( |  )(/|/a b|/\t|/\u{e9}|/\r|)( |)(HTTP/1\\.[0129]|HTTP/0\\.9|HTTP/2\\.0)( |\t|)",
        fields in prop::collection::vec(
            "(Host|A|A |Content-Length|Content_Length|Content--Length|Transfer-Encoding|Transfer- Encoding|Transfer\\.Encoding_|\u{131}|\0|\x01a|Content-Type| b|): ?(a|5|6|chunked|gzip, chunked|xchunked|\x01|\t|\u{e9})?(\r\n|\n)( fold\r\n)?",
            0..4,
        ),
        ends in "(\r\n|\n)",
    ) {
        let head = format!("{line}{ends}{}{ends}", fields.concat());
        let (told, reason) = oracle(head.as_bytes());
        let ours = classify(head.as_bytes());
        if !DIFFERS.iter().any(|(_, is)| is(&head)) {
            prop_assert_eq!(ours.tier, told, "{:?}: {:?} or {:?}", head, ours, reason);
        }
    }

    #[test]
    fn what_the_strict_parser_takes_has_the_same_class_both_ways(
        line in "(GET|POST|HEAD) / HTTP/1\\.[0129]",
        fields in prop::collection::vec("(A|Content-Length|Content_Length|Transfer-Encoding|Transfer--Encoding): (0|5|chunked)", 0..3),
    ) {
        let head = format!("{line}\r\nHost: a\r\n{}{}\r\n", fields.join("\r\n"), if fields.is_empty() { "" } else { "\r\n" });
        if let Parsed::Head(read) = RequestHead::read(head.as_bytes(), &mut Scanner::default()) {
            prop_assert_eq!(read.finding.tier, classify(head.as_bytes()).tier);
            prop_assert_eq!(read.finding.tier, oracle(head.as_bytes()).0);
        }
    }

    #[test]
    fn whatever_is_rescued_is_strictly_right(head in prop::collection::vec(any::<u8>(), 0..200), mode in 0..3) {
        let mode = [DesyncMode::Monitor, DesyncMode::Defensive, DesyncMode::Strictest][mode as usize];
        let head = [b"GET / HTTP/1.1\nHost: a\n", &head[..], b"\n\n"].concat();
        if let Ok(rescued) = rescue(&head, mode) {
            prop_assert!(mode != DesyncMode::Strictest && rescued.finding.tier < Tier::Severe);
            prop_assert!(!rescued.clean.contains(&0));
        }
    }
}

#[test]
fn rewriting_guesses_nothing() {
    let check = |head: &str, mode: DesyncMode, out: Result<&str, Reason>| {
        let got = rescue(head.as_bytes(), mode);
        let got = got.as_ref().map(|r| std::str::from_utf8(&r.clean).unwrap()).map_err(|finding| finding.reason);
        assert_eq!(got, out, "{head:?} {mode:?}");
    };
    let (monitor, defensive, strictest) = (DesyncMode::Monitor, DesyncMode::Defensive, DesyncMode::Strictest);
    let crlf = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n";
    let bare = "GET / HTTP/1.1\nHost: a\nA: b\n\n";
    check(bare, monitor, Ok(crlf));
    check(bare, defensive, Ok(crlf));
    check(bare, strictest, Err(Reason::NonCrLfLineTermination));
    check("GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", monitor, Err(Reason::NonCrLfLineTermination));
    check("GET / HTTP/1.1 \t\r\nHost: a\r\nA: b\r\n\r\n", defensive, Ok(crlf));
    check("GET / HTTP/1.1\r\nHost: a\r\nA\u{e9}: x\r\nA: b\r\n\r\n", defensive, Ok(crlf));
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nA: x\x01y\r\n\r\n",
        defensive,
        Ok("GET / HTTP/1.1\r\nHost: a\r\nA: x y\r\n\r\n"),
    );
    let twice = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n";
    check(twice, defensive, Ok("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"));
    check(twice, strictest, Err(Reason::DuplicateContentLength));
    let both = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(both, monitor, Ok("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    check(both, defensive, Err(Reason::BothTeClPresent));
    let folded = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n";
    check(folded, monitor, Ok("GET / HTTP/1.1\r\nHost: a\r\nA: b c\r\n\r\n"));
    check(folded, defensive, Err(Reason::MultilineHeader));
    for (never, reason) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", Reason::NonCompliantHeader),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n Content-Length: 5\r\n\r\n", Reason::MultilineHeader),
        ("GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", Reason::MultilineHeader),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Reason::SpaceInUri),
        ("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", Reason::AmbiguousUri),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Reason::EmptyHeader),
        ("GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", Reason::MissingHeaderColon),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Reason::UndefinedTransferEncodingSemantics),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Reason::MultipleContentLength),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\n",
            Reason::DuplicateContentLength,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", Reason::BadTransferEncoding),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", Reason::BadHeader),
        ("GET / HTTP/1.1\r\n\r\n", Reason::Compliant),
    ] {
        check(never, monitor, Err(reason));
    }
}
