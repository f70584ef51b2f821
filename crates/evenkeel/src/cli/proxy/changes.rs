//! What is different between two readings of the proxy's file, in words.
//!
//! Owns those words. Must never decide what a difference means: the road takes the whole.

use std::collections::BTreeSet;

use evenkeel_core::routes::{BalancerRoutes, ListenerRoute, Routes};

/// Each change, such as `web: 1 target more, timeouts`. None where both are the same.
pub(super) fn between(before: &Routes, after: &Routes) -> Vec<String> {
    let names: BTreeSet<_> = before.balancers.keys().chain(after.balancers.keys()).collect();
    let change = |name| match (before.balancers.get(name), after.balancers.get(name)) {
        (Some(old), Some(new)) if old != new => Some(format!("{name}: {}", parts(old, new).join(", "))),
        (None, Some(_)) => Some(format!("{name} is new")),
        (Some(_), None) => Some(format!("{name} is gone")),
        _ => None,
    };
    names.into_iter().filter_map(change).collect()
}

fn parts(old: &BalancerRoutes, new: &BalancerRoutes) -> Vec<String> {
    let mut parts = Vec::new();
    let count = |more: usize, what: &str, word: &str, parts: &mut Vec<String>| {
        if more > 0 {
            parts.push(format!("{more} {what}{} {word}", if more == 1 { "" } else { "s" }));
        }
    };
    let ids = |routes: &BalancerRoutes| routes.targets.iter().map(|t| t.instance.clone()).collect::<BTreeSet<_>>();
    let (was, is) = (ids(old), ids(new));
    count(is.difference(&was).count(), "target", "more", &mut parts);
    count(was.difference(&is).count(), "target", "less", &mut parts);
    let stays =
        |list: &BalancerRoutes| list.targets.iter().filter(|t| was.contains(&t.instance)).cloned().collect::<Vec<_>>();
    let kept = |list: Vec<evenkeel_core::routes::Target>| {
        list.into_iter().filter(|t| is.contains(&t.instance)).collect::<Vec<_>>()
    };
    let (before, after) = (kept(stays(old)), kept(stays(new)));
    for (what, differs) in [
        ("zones of targets", before.iter().map(|t| &t.zone).ne(after.iter().map(|t| &t.zone))),
        ("weights of targets", before.iter().map(|t| t.weight).ne(after.iter().map(|t| t.weight))),
    ] {
        if differs {
            parts.push(what.into());
        }
    }
    let ports = |routes: &BalancerRoutes| routes.listeners.iter().map(|l| l.port).collect::<BTreeSet<_>>();
    let (was, is) = (ports(old), ports(new));
    count(is.difference(&was).count(), "listener", "more", &mut parts);
    count(was.difference(&is).count(), "listener", "less", &mut parts);
    for listener in &new.listeners {
        let Some(before) = old.listeners.iter().find(|l| l.port == listener.port).filter(|l| *l != listener) else {
            continue;
        };
        let certificates = |l: &ListenerRoute| ListenerRoute { tls: None, ..l.clone() };
        let what = if certificates(before) == certificates(listener) { "certificates" } else { "settings" };
        parts.push(format!("{what} of port {}", listener.port));
    }
    let mut differs = |differs: bool, what: &str| {
        if differs {
            parts.push(what.into());
        }
    };
    differs(old.nodes != new.nodes, "addresses");
    differs(old.health_check != new.health_check, "health check");
    differs((old.idle_timeout, old.timeouts) != (new.idle_timeout, new.timeouts), "timeouts");
    differs(old.limits != new.limits, "limits");
    differs(old.cross_zone != new.cross_zone, "cross-zone balancing");
    differs(old.desync != new.desync, "desync mode");
    for ((key, was), (_, is)) in old.balancing.all().into_iter().zip(new.balancing.all()) {
        if was != is {
            parts.push(format!("{key} {is} instead of {was}"));
        }
    }
    if parts.is_empty() {
        parts.push("settings".into());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::proxy_file::parse;

    #[test]
    fn changes_are_said_in_words() {
        let text = "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n[[balancer.listener]]\nport = 80\n\
                    [[balancer.target]]\naddress = \"10.0.0.1\"\n";
        let check = |from: &str, to: &str, said: &[&str]| {
            let after = text.replace(from, to);
            let read = |text: &str| parse(text, 1).unwrap().routes;
            assert_eq!(between(&read(text), &read(&after)), said, "{after}");
        };
        check("", "", &[]);
        check("10.0.0.1", "10.0.0.2", &["web: 1 target more, 1 target less"]);
        check("\"web\"", "\"app\"", &["app is new", "web is gone"]);
        check("port = 80", "port = 81", &["web: 1 listener more, 1 listener less, health check"]);
        check("port = 80", "port = 80\nstickiness = {}", &["web: settings of port 80"]);
        check("[[balancer.l", "timeouts = { head = 5 }\n[[balancer.l", &["web: timeouts"]);
        check("[[balancer.l", "limits = { streams = 5 }\n[[balancer.l", &["web: limits"]);
        check(
            "[[balancer.l",
            "[balancer.balance]\nalgorithm = \"least_latency\"\nqueue_length = 5\nretry_floor = 1\n[[balancer.l",
            &[
                "web: algorithm least_latency instead of aws, queue_length 5 instead of 1024, retry_floor 1 instead of 10",
            ],
        );
        check("address = \"10.0.0.1\"", "address = \"10.0.0.1\"\nweight = 2", &["web: weights of targets"]);
        check("address = \"10.0.0.1\"", "address = \"10.0.0.1\"\nzone = \"b\"", &["web: zones of targets"]);
        check(
            "[\"127.0.0.1\"]",
            "[\"127.0.0.2\"]\ncross_zone = true\ndesync = \"monitor\"",
            &["web: addresses, cross-zone balancing, desync mode"],
        );
    }
}
