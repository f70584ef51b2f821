//! What must hold for any bytes that a caller of the API sends: parameters, documents, signatures.
//!
//! Owns the properties, a function a target. Must never know of the fuzzer. A parser of another room (policies, DNS
//! messages) gets a file of its own beside this one, with a table like [`TARGETS`], and a test that replays it.

use evenkeel_aws::document::Document;
use evenkeel_aws::query::{self, Params};
use evenkeel_aws::{
    Action, Api, Decoded, EachAction, Form, Request, Time, Versions, decode, each_action, encoding, form, render_error,
    verify, xml,
};

/// A target: the name of its corpus, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("api_query", api_query),
    ("api_ec2_query", api_ec2_query),
    ("api_json", api_json),
    ("api_cbor", api_cbor),
    ("sigv4", sigv4),
    ("sigv2", sigv2),
];

/// When the requests of the corpora were signed, and with which secret.
const NOW: Time = Time(1_440_938_160_000); // 2015-08-30T12:36:00Z
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A form: a call that reads back as it was understood, or a refusal that a client can read.
pub fn api_query(data: &[u8]) {
    let headers = vec![("Content-Type".into(), b"application/x-www-form-urlencoded".to_vec())];
    let request = Request { method: "POST".into(), target: "/".into(), headers, body: data.to_vec() };
    understood(&request);
}

/// The same in EC2's dialect, in the query string.
pub fn api_ec2_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let target = format!("/?Version=2016-11-15&{text}");
    understood(&Request { method: "GET".into(), target, ..Request::default() });
}

/// The first line names the call, the rest is its body: a document that survives both codecs, and a call as in the query
/// protocol.
pub fn api_json(data: &[u8]) {
    let Some((target, body)) = parted(data) else { return };
    if let Ok(document) = Document::from_json(body) {
        assert_eq!(Document::from_json(&document.to_json()).as_ref(), Ok(&document));
        assert_eq!(Document::from_cbor(&document.to_cbor()).as_ref(), Ok(&document));
    }
    let headers = vec![
        ("Content-Type".into(), b"application/x-amz-json-1.1".to_vec()),
        ("X-Amz-Target".into(), target.as_bytes().to_vec()),
    ];
    understood(&Request { method: "POST".into(), target: "/".into(), headers, body: body.to_vec() });
}

/// The first line is the path, the rest the body.
pub fn api_cbor(data: &[u8]) {
    let Some((target, body)) = parted(data) else { return };
    if let Ok(document) = Document::from_cbor(body)
        && is_exact(&document)
    {
        assert_eq!(Document::from_cbor(&document.to_cbor()).as_ref(), Ok(&document));
    }
    let headers = vec![("smithy-protocol".into(), b"rpc-v2-cbor".to_vec())];
    understood(&Request { method: "POST".into(), target: target.into(), headers, body: body.to_vec() });
}

/// A request, head and body: believed only with the secret that it was signed with, and then whatever of it is not signed
/// makes no other call of it.
pub fn sigv4(data: &[u8]) {
    believed(data, &["authorization", "host"]);
}

/// The same, where the parameters alone are signed.
pub fn sigv2(data: &[u8]) {
    believed(data, &["host", "content-type"]);
}

/// Whether a request of the corpora verifies: without any that does, the two checks above would hold nothing.
pub fn is_believed(data: &[u8]) -> bool {
    request(data).is_some_and(|request| verify(&request, Versions::TwoAndFour, |_| Some(SECRET.into()), NOW).is_ok())
}

fn believed(data: &[u8], kept: &[&str]) {
    let Some(mut request) = request(data) else { return };
    let signer = |secret: &str| verify(&request, Versions::TwoAndFour, |_| Some(secret.to_owned()), NOW);
    match signer(SECRET) {
        Err(error) => {
            let told = render_error(&error.to_wire(form(&request).dialect()), "id", form(&request));
            assert!(matches!(told.status, 400 | 401 | 403) && told.body.len() < 4_000, "{error}");
            return;
        }
        Ok(identity) => {
            assert!(data.windows(identity.access_key_id.len()).any(|w| w == identity.access_key_id.as_bytes()))
        }
    }
    assert!(signer("another").is_err());
    // Only what is signed: the listed headers, or the parameters.
    let whole = String::from_utf8_lossy(data).into_owned();
    let listed = whole.split("SignedHeaders=").nth(1).unwrap_or_default();
    let listed =
        listed.split([',', ' ', '&', '\n']).next().unwrap_or_default().replace("%3B", ";").to_ascii_lowercase();
    let mut bare = request.clone();
    bare.headers.retain(|(name, _)| {
        let name = name.to_ascii_lowercase();
        kept.contains(&name.as_str()) || listed.split(';').any(|signed| signed == name)
    });
    if encoding::inflate(&mut request, 100_000).is_err() || encoding::inflate(&mut bare, 100_000).is_err() {
        return;
    }
    if let (Ok(whole), Ok(bare)) = (decode(&request), decode(&bare)) {
        assert_eq!(whole, bare);
    }
}

/// A refusal that its client can read, or a call that reads back as it was understood.
fn understood(request: &Request) {
    match decode(request) {
        Err(rejected) => {
            assert_eq!(rejected.form, form(request));
            assert!(!rejected.error.code.is_empty() && rejected.error.message.len() < 1_000, "{rejected}");
            let told = render_error(&rejected.error, "id", rejected.form);
            match rejected.form {
                Form::Xml(_) => {
                    let document = std::str::from_utf8(&told.body).expect("text");
                    let (code, _) = xml::read_error(document).expect("an error document");
                    assert_eq!(code, rejected.error.code);
                }
                Form::Json { .. } => assert!(Document::from_json(&told.body).is_ok()),
                Form::Cbor { .. } => assert!(Document::from_cbor(&told.body).is_ok()),
            }
        }
        Ok(decoded) => {
            assert_eq!(decoded.form, form(request));
            each_action(&mut Again { request, decoded: &decoded });
        }
    }
}

/// Writes a call anew from its typed input, and reads it back.
struct Again<'a> {
    request: &'a Request,
    decoded: &'a Decoded,
}

impl EachAction for Again<'_> {
    fn see<A: Action>(&mut self) {
        if (A::API, A::NAME) != (self.decoded.api, self.decoded.action) {
            return;
        }
        let input: A = match self.decoded.form {
            Form::Xml(_) => {
                let mut params = Params::default();
                params.read(self.request.path_and_query().1.as_bytes()).expect("read before");
                params.read(&self.request.body).expect("read before");
                params.tree().expect("read before").to().expect("read before")
            }
            Form::Json { .. } => Document::from_json(&self.request.body).and_then(|d| d.to()).expect("read before"),
            Form::Cbor { .. } => Document::from_cbor(&self.request.body).and_then(|d| d.to()).expect("read before"),
        };
        let held = Document::of(&input).expect("a document");
        // Lists of structures that say nothing have no form in EC2's parameters: there they are lists of nothing.
        if A::API != Api::Ec2 {
            let params = query::to_params(&input).expect("parameters");
            let again: A = params.tree().expect("a tree").to().expect("what was written");
            assert_eq!(Document::of(&again).expect("a document"), held);
        }
        if is_exact(&held) {
            let again: A = Document::from_cbor(&held.to_cbor()).and_then(|d| d.to()).expect("what was written");
            assert_eq!(Document::of(&again).expect("a document"), held);
        }
    }
}

/// Whether its numbers come back as they were: no NaN, and no time that a double holds only nearly.
fn is_exact(document: &Document) -> bool {
    match document {
        Document::Float(number) => !number.is_nan(),
        Document::Time(time) => time.0.abs() < 1 << 52,
        Document::List(list) => list.iter().all(is_exact),
        Document::Map(map) => map.values().all(is_exact),
        _ => true,
    }
}

fn parted(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&data[..end]).ok()?, &data[end + 1..]))
}

/// `METHOD target`, a header a line, an empty line, the body.
fn request(data: &[u8]) -> Option<Request> {
    let end = data.windows(2).position(|window| window == b"\n\n").unwrap_or(data.len());
    let mut lines = data[..end].split(|byte| *byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((String::from_utf8_lossy(&line[..colon]).into_owned(), line[colon + 1..].to_vec()))
    };
    let headers = lines.filter_map(header).collect();
    let body = data.get(end + 2..).unwrap_or_default().to_vec();
    Some(Request { method: method.into(), target: target.into(), headers, body })
}
