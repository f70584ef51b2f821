//! Clients that come back to the same instance.

use std::time::Duration;

use evenkeel_core::health::Health;
use evenkeel_core::routes::{Node, Phase, Stickiness};

use crate::rig::{Answer, Client, Rig, zone};

fn sticky(zones: &[&str], rule: Stickiness) -> Rig {
    let mut rig = Rig::new(zones);
    rig.routes.listeners[0].stickiness = Some(rule);
    rig.publish();
    rig
}

fn get(client: &mut Client, target: &str, cookies: &str) -> Answer {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nCookie: {cookies}\r\n\r\n"));
    client.read().unwrap()
}

/// All values of a field, in order.
fn fields<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// The balancer's cookie as a browser would show it.
fn own(answer: &Answer) -> Option<String> {
    let pair = |value: &str| value.split(';').next().unwrap_or_default().to_owned();
    fields(answer, "set-cookie").into_iter().map(pair).find(|pair| pair.starts_with("AWSELB="))
}

#[test]
fn the_balancers_cookie_leads_back_for_as_long_as_its_instance_serves() {
    let mut rig = sticky(&["a", "a", "a"], Stickiness::Duration(Some(Duration::from_secs(60))));
    let mut client = rig.client();
    let first = client.get("/");
    let cookie = own(&first).unwrap();
    assert!(cookie.len() == 7 + 64 && cookie[7..].bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
    let set = fields(&first, "set-cookie");
    assert_eq!(set[0], format!("{cookie};PATH=/;MAX-AGE=60"));
    assert_eq!(set[1], format!("AWSELBCORS={};PATH=/;MAX-AGE=60;SECURE;SAMESITE=None", &cookie[7..]));
    assert_eq!(fields(&first, "cache-control"), ["no-cache=\"set-cookie\""]);
    let before = rig.hits();
    let home = before.iter().position(|hits| *hits == 1).unwrap();
    for turn in 0..30 {
        // On any connection, by either cookie, and nothing is set again.
        let shown = if turn % 2 == 0 { cookie.clone() } else { cookie.replace("AWSELB=", "x=1; AWSELBCORS=") };
        let answer = get(&mut rig.client(), "/", &shown);
        assert_eq!((answer.status, own(&answer)), (200, None));
    }
    assert_eq!(rig.hits()[home], 31);
    // What nobody is known by is as nothing.
    let answer = get(&mut client, "/", "AWSELB=0123");
    assert_eq!((answer.status, own(&answer).is_some()), (200, true));
    // An instance that takes nothing new loses its clients, who then stick to another.
    rig.routes.targets[home].phase = Phase::ZoneDisabled;
    rig.publish();
    let before = rig.hits();
    let moved = own(&get(&mut client, "/", &cookie)).unwrap();
    assert_ne!(moved, cookie);
    assert_eq!(rig.hits()[home], before[home]);
    rig.routes.targets[home].phase = Phase::Serving;
    rig.publish();
    assert_eq!(own(&get(&mut client, "/", &moved)), None);
    let key = (rig.routes.name.clone(), rig.routes.targets[home].instance.clone());
    rig.road.board().state(&key).set_health(Health::Failing);
    assert_ne!(own(&get(&mut client, "/", &cookie)), None);
}

#[test]
fn the_cookie_follows_the_applications_own() {
    let mut rig = sticky(&["a", "a", "a"], Stickiness::Application("SID".into()));
    let mut client = rig.client();
    assert_eq!(own(&client.get("/")), None);
    let answer = client.get("/login");
    let cookie = own(&answer).unwrap();
    let set = fields(&answer, "set-cookie");
    assert_eq!(set[0], "SID=1; Path=/a_b; HttpOnly");
    assert_eq!(set[1], format!("{cookie};Path=/a%5Fb;HttpOnly"));
    let before = rig.hits();
    for _ in 0..20 {
        assert_eq!(own(&get(&mut rig.client(), "/", &format!("SID=1; {cookie}"))), None);
    }
    let gained: Vec<u64> = rig.hits().iter().zip(&before).map(|(now, before)| now - before).collect();
    let home = gained.iter().position(|hits| *hits == 20).unwrap();
    // Without the application's cookie its session is over.
    let before = rig.hits();
    for _ in 0..30 {
        get(&mut rig.client(), "/", &cookie);
    }
    assert!(rig.hits()[home] < before[home] + 20);
    // When the instance is gone, another takes the session over for good.
    rig.routes.targets[home].phase = Phase::ZoneDisabled;
    rig.publish();
    let moved = own(&get(&mut client, "/", &format!("SID=1; {cookie}"))).unwrap();
    rig.routes.targets[home].phase = Phase::Serving;
    rig.publish();
    let before = rig.hits();
    for _ in 0..20 {
        assert_eq!(own(&get(&mut rig.client(), "/", &format!("SID=1; {moved}"))), None);
    }
    let gained: Vec<u64> = rig.hits().iter().zip(&before).map(|(now, before)| now - before).collect();
    assert!(gained.contains(&20) && gained[home] == 0, "{gained:?}");
}

#[test]
fn a_cookie_leads_nowhere_that_the_node_does_not_reach() {
    let mut rig = sticky(&["a", "c"], Stickiness::Duration(None));
    let mut client = rig.client();
    let cookies: Vec<String> = (0..2).map(|_| own(&client.get("/")).unwrap()).collect();
    rig.routes.nodes = vec![Node { zone: Some(zone("a")), address: rig.routes.nodes[0].address }];
    rig.publish();
    let before = rig.hits();
    for cookie in cookies.iter().chain(&cookies) {
        assert_eq!(get(&mut client, "/", cookie).status, 200);
    }
    assert_eq!(rig.hits(), [before[0] + 4, before[1]]);
}
