//! Both codecs to the letter, and every way that a document can be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::*;
use crate::blob::Blob;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Inside {
    key: Option<String>,
    sizes: Members<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Thing {
    name: String,
    flag: Option<bool>,
    count: Option<i64>,
    share: Option<f64>,
    at: Option<Time>,
    bytes: Option<Blob>,
    #[serde(default)]
    inside: Members<Inside>,
}

fn thing(name: &str) -> Thing {
    Thing { name: name.into(), ..Thing::default() }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}

fn json(text: &str) -> Result<Thing, Error> {
    Document::from_json(text.as_bytes())?.to()
}

fn cbor(hex: &str) -> Result<Thing, Error> {
    Document::from_cbor(&from_hex(hex))?.to()
}

#[test]
fn json_has_seconds_base64_and_plain_lists() {
    let full = Thing {
        name: "ä\"\n".into(),
        flag: Some(true),
        count: Some(-5),
        share: Some(0.5),
        at: Some(Time(1_704_070_923_456)),
        bytes: Some(Blob(vec![0, 255])),
        inside: vec![Inside { key: None, sizes: vec![1, 2].into() }, Inside::default()].into(),
    };
    let text = r#"{"At":1704070923.456,"Bytes":"AP8=","Count":-5,"Flag":true,"Inside":[{"Sizes":[1,2]},{"Sizes":[]}],"Name":"ä\"\n","Share":0.5}"#;
    assert_eq!(String::from_utf8(Document::of(&full).expect("a document").to_json()).expect("text"), text);
    assert_eq!(json(text), Ok(full));

    let check = |text: &str, wanted: Thing| assert_eq!(json(text), Ok(wanted), "{text}");
    check(r#" {"Name":"x","Flag":null,"Inside":null,"More":{"a":[null]}} "#, thing("x"));
    check(r#"{"Name":"x","At":1704070923}"#, Thing { at: Some(Time(1_704_070_923_000)), ..thing("x") });
    check(r#"{"Name":"x","At":1.7040709234564e9}"#, Thing { at: Some(Time(1_704_070_923_456)), ..thing("x") });
    check(r#"{"Name":"x","At":"2024-01-01T01:02:03Z"}"#, Thing { at: Some(Time(1_704_070_923_000)), ..thing("x") });
    check(r#"{"Name":"x","Count":30.0,"Share":1}"#, Thing { count: Some(30), share: Some(1.0), ..thing("x") });
    check(r#"{"Name":"x","Share":"-Infinity"}"#, Thing { share: Some(f64::NEG_INFINITY), ..thing("x") });
    let whole = Thing { at: Some(Time(1_704_070_923_000)), ..thing("x") };
    let text = Document::of(&whole).expect("a document").to_json();
    assert_eq!(text, br#"{"At":1704070923,"Inside":[],"Name":"x"}"#);
}

#[test]
fn cbor_has_tag_1_byte_strings_and_both_kinds_of_length() {
    let full = Thing {
        name: "x".into(),
        at: Some(Time(1_704_070_923_456)),
        bytes: Some(Blob(vec![0, 255])),
        count: Some(-5),
        ..Thing::default()
    };
    // {"At": 1(1704070923.456), "Bytes": h'00ff', "Count": -5, "Inside": [], "Name": "x"}
    let hex = "a5 624174 c1 fb41d96483c2dd2f1b 654279746573 4200ff 65436f756e74 24 66496e73696465 80 644e616d65 6178";
    assert_eq!(Document::of(&full).expect("a document").to_cbor(), from_hex(hex));
    assert_eq!(cbor(hex), Ok(full));

    let check = |hex: &str, wanted: Thing| assert_eq!(cbor(hex), Ok(wanted), "{hex}");
    check("bf 644e616d65 7f 6178 6179 ff ff", thing("xy"));
    check("a2 644e616d65 6178 624174 c1 1a65920f0b", Thing { at: Some(Time(1_704_070_923_000)), ..thing("x") });
    check(
        "a2 644e616d65 6178 65427974657 35f 41aa 41bb ff",
        Thing { bytes: Some(Blob(vec![0xaa, 0xbb])), ..thing("x") },
    );
    check("a2 644e616d65 6178 655368617265 f93800", Thing { share: Some(0.5), ..thing("x") });
    check("a2 644e616d65 6178 655368617265 f9fc00", Thing { share: Some(f64::NEG_INFINITY), ..thing("x") });
    check("a2 644e616d65 6178 655368617265 f90001", Thing { share: Some(2f64.powi(-24)), ..thing("x") });
    check("a2 644e616d65 6178 655368617265 fa3f000000", Thing { share: Some(0.5), ..thing("x") });
    check("a2 644e616d65 6178 64466c6167 f7", thing("x"));
    check(
        "a2 644e616d65 6178 66496e73696465 9f a1 6553697a6573 9f 01 02 ff ff",
        Thing { inside: vec![Inside { key: None, sizes: vec![1, 2].into() }].into(), ..thing("x") },
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let words = |error: Error| {
        let wire = error.to_wire(crate::Api::Elb.dialect());
        format!("{}: {}", wire.code, wire.message)
    };
    let check = |text: &str, wanted: &str| {
        let told = words(json(text).expect_err(text));
        assert!(told.starts_with(wanted), "{text}: {told}");
    };
    let null =
        "ValidationError: 1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must";
    check("", null);
    check("{}", null);
    check(r#"{"Name":null}"#, null);
    check(r#"{"Name":5}"#, "MalformedQueryString: The value at 'name' must be a text.");
    check(r#"{"Name":"x","Flag":"true"}"#, "MalformedQueryString: The value at 'flag' must be true or false.");
    check(r#"{"Name":"x","Count":"5"}"#, "MalformedQueryString: The value at 'count' must be an integer.");
    check(r#"{"Name":"x","Count":1.5}"#, "MalformedQueryString: The value at 'count' must be an integer.");
    check(r#"{"Name":"x","Count":99999999999999999999}"#, "MalformedQueryString: The value at 'count' must be an");
    check(r#"{"Name":"x","At":1e300}"#, "MalformedQueryString: The value at 'at' must be a time");
    check(r#"{"Name":"x","At":"now"}"#, "MalformedQueryString: The value at 'at' must be a time");
    check(r#"{"Name":"x","Bytes":"!"}"#, "MalformedQueryString: The value at 'bytes' must be base64.");
    check(r#"{"Name":"x","Inside":{"member":[]}}"#, "MalformedQueryString: The value at 'inside' must be a list.");
    check(
        r#"{"Name":"x","Inside":[{},null]}"#,
        "MalformedQueryString: The value at 'inside.2.member' must be a struct",
    );
    check(
        r#"{"Name":"x","Inside":[{"Sizes":[1,"2"]}]}"#,
        "MalformedQueryString: The value at 'inside.1.member.sizes.2.member' must be an integer.",
    );
    check("[]", "MalformedQueryString: The body must be a structure.");
    check("{", "MalformedQueryString: The body is not JSON: EOF while parsing");
    check("{} {}", "MalformedQueryString: The body is not JSON: trailing characters");
    check(r#"{"Name":"x","Name":"y"}"#, "MalformedQueryString: The body is not JSON: The name 'Name' comes twice.");
    check("{\"Name\":\"\\ud800\"}", "MalformedQueryString: The body is not JSON: ");

    let check = |hex: &str, wanted: &str| {
        let told = words(cbor(hex).expect_err(hex));
        assert!(told.starts_with(wanted), "{hex}: {told}");
    };
    check("", null);
    check("a0", null);
    check("80", "MalformedQueryString: The body must be a structure.");
    check("a1", "MalformedQueryString: The body is not CBOR: ");
    check("a0 00", "MalformedQueryString: The body goes on after its end.");
    check("a1 01 01", "MalformedQueryString: The body is not CBOR: a name that is no text");
    check("a1 644e616d65 ff", "MalformedQueryString: The body is not CBOR: a value of an unknown kind");
    check("a1 644e616d65 62ff", "MalformedQueryString: The body is not CBOR: ");
    check("a1 644e616d65 61ff", "MalformedQueryString: The body is not CBOR: ");
    check("a1 644e616d65 c2 41ff", "MalformedQueryString: The body has a value with tag 2, and only 1 has a meaning.");
    check("a1 644e616d65 c1 6178", "MalformedQueryString: A time is a number of seconds.");
    check("a2 644e616d65 6178 644e616d65 6179", "MalformedQueryString: The name 'Name' comes twice.");
    check("a1 644e616d65 f938", "MalformedQueryString: The body is not CBOR: it ends within a number");
    // Lengths that are claimed and do not come: nothing is set aside for them.
    check("bb ffffffffffffffff", "MalformedQueryString: The body is not CBOR: ");
    check("a1 644e616d65 9b ffffffffffffffff 01", "MalformedQueryString: The body is not CBOR: ");
    check("a1 644e616d65 7b ffffffffffffffff 78", "MalformedQueryString: The body is not CBOR: ");
    check("a1 644e616d65 5b ffffffffffffffff 78", "MalformedQueryString: The body is not CBOR: ");
}

#[test]
fn levels_and_values_are_bounded() {
    let check = |read: Result<Document, Error>, wanted: Option<&str>| match (read, wanted) {
        (Ok(_), None) => {}
        (Err(error), Some(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
        (read, wanted) => panic!("{:?} and {wanted:?}", read.map(drop)),
    };
    let nested = |levels: usize| format!("{{\"A\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    check(Document::from_json(nested(MAX_DEPTH).as_bytes()), None);
    check(Document::from_json(nested(MAX_DEPTH + 1).as_bytes()), Some("more than 32 levels"));
    check(Document::from_json("[".repeat(1_000_000).as_bytes()), Some("more than 32 levels"));
    let many = |count: usize| format!("{{\"A\":[{}0]}}", "0,".repeat(count - 3));
    check(Document::from_json(many(MAX_NODES).as_bytes()), None);
    check(Document::from_json(many(MAX_NODES + 1).as_bytes()), Some("more than 100000 values"));

    let nested = |levels: usize| [b"\xa1\x61A".to_vec(), vec![0x81; levels - 2], b"\x80".to_vec()].concat();
    check(Document::from_cbor(&nested(MAX_DEPTH)), None);
    check(Document::from_cbor(&nested(MAX_DEPTH + 1)), Some("more than 32 levels"));
    for byte in [0x81, 0x9f, 0xa1, 0xbf, 0xc1, 0xd8, 0x5f, 0x7f] {
        assert!(Document::from_cbor(&vec![byte; 1_000_000]).is_err(), "{byte:x}");
    }
    let many = |count: usize| [b"\xa1\x61A\x9f".to_vec(), vec![0; count - 2], b"\xff".to_vec()].concat();
    check(Document::from_cbor(&many(MAX_NODES)), None);
    check(Document::from_cbor(&many(MAX_NODES + 1)), Some("more than 100000 values"));
}

#[test]
fn long_bytes_survive() {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let text = format!(r#"{{"Name":"x","Bytes":"{}"}}"#, STANDARD.encode(&bytes));
    let wanted = Thing { bytes: Some(Blob(bytes)), ..thing("x") };
    assert_eq!(json(&text).as_ref(), Ok(&wanted));
    let document = Document::of(&wanted).expect("a document");
    assert_eq!(Document::from_cbor(&document.to_cbor()).expect("CBOR").to().as_ref(), Ok(&wanted));
}
