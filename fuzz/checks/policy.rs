//! What must hold for any bytes that are given as a policy document.
//!
//! Owns that property. Must never know of the fuzzer.

use evenkeel_core::rights::{Context, Document, Effect, Request, Verdict, Written, judge};

const DENY_ALL: &str = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/shop";

/// A document is refused with a reason, or judges by its own statements only, and never against a deny of all.
pub fn policy_json(data: &[u8]) {
    let Ok(written) = serde_json::from_slice::<Written>(data) else { return };
    let document = match Document::read(&written) {
        Ok(document) => document,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    assert!(!document.statements().is_empty());
    let deny_all = serde_json::from_str::<Written>(DENY_ALL).ok().and_then(|w| Document::read(&w).ok());
    let mut full = Context::default();
    for (key, value) in [
        ("aws:username", "ann"),
        ("aws:SourceIp", "10.1.2.3"),
        ("aws:CurrentTime", "2026-11-27T12:00:00Z"),
        ("aws:SecureTransport", "true"),
        ("aws:PrincipalArn", "arn:aws:iam::123456789012:user/ann"),
    ] {
        full.add(key, value);
    }
    for context in [&Context::default(), &full] {
        for resource in [ARN, "*"] {
            let request = Request { action: "elasticloadbalancing:DeleteLoadBalancer", resource, context };
            let verdict = judge([&document], request);
            match &verdict {
                Verdict::Allowed(by) | Verdict::ExplicitlyDenied(by) => {
                    let statement = &document.statements()[by.statement];
                    assert_eq!(statement.effect() == Effect::Allow, verdict.is_allowed());
                    assert!(by.policy == 0 && statement.applies(request) && statement.sid() == by.sid.as_deref());
                }
                Verdict::ImplicitlyDenied => assert!(document.statements().iter().all(|s| !s.applies(request))),
            }
            assert_eq!(judge([&document, &document], request), verdict);
            let denied = judge(deny_all.iter().chain([&document]), request);
            assert!(matches!(denied, Verdict::ExplicitlyDenied(_)), "{denied:?}");
        }
    }
}
