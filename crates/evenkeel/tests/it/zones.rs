//! Zones: the same share for each enabled one, nothing for the others.

use std::time::Duration;

use evenkeel::traffic::Snapshot;
use evenkeel_aws::elb;

use crate::rig::Rig;
use crate::steady::Steady;

/// Requests that a share is taken over.
const REQUESTS: u64 = 20_000;

/// Sends [`REQUESTS`] and returns what was answered from where.
fn measure(rig: &mut Rig) -> Snapshot {
    let steady = Steady::start(rig, "test", 4_000);
    rig.wait("20,000 requests", Duration::from_secs(60), |_| (steady.snapshot().sent >= REQUESTS).then_some(()));
    let end = steady.end();
    assert_eq!(end.failures, vec![], "{}", rig.log());
    assert!(end.sent >= REQUESTS);
    end
}

fn share(snapshot: &Snapshot, zone: &str) -> f64 {
    *snapshot.zones.get(zone).unwrap_or(&0) as f64 / snapshot.ok as f64
}

#[test]
fn zones_share_evenly_and_instances_do_with_cross_zone_on() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let mut ids = rig.run(&image, "us-east-1a", 3);
    ids.extend(rig.run(&image, "us-east-1b", 1));
    let elsewhere = rig.run(&image, "us-east-1c", 1);
    rig.balancer("test", &["us-east-1a", "us-east-1b"]);
    rig.add("test", &ids);
    rig.add("test", &elsewhere);
    rig.wait_in_service("test", &ids);

    let plain = measure(&mut rig);
    let (a, b) = (share(&plain, "us-east-1a"), share(&plain, "us-east-1b"));
    println!("3 and 1 instances: {:.2} % and {:.2} %", a * 100.0, b * 100.0);
    assert!((a - 0.5).abs() <= 0.01 && (b - 0.5).abs() <= 0.01, "{a} and {b}");
    assert_eq!(plain.zones.get("us-east-1c"), None, "a zone that is not enabled got requests");

    let attributes = elb::LoadBalancerAttributes {
        cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: true }),
        ..Default::default()
    };
    let modify =
        elb::ModifyLoadBalancerAttributes { load_balancer_name: "test".into(), load_balancer_attributes: attributes };
    rig.call(&modify).unwrap();
    rig.wait("cross-zone balancing to act", Duration::from_secs(5), |rig| {
        let b = rig.nodes("test")[1].1;
        let (_, body) = rig.get(b, "/").unwrap();
        body.contains("us-east-1a").then_some(())
    });
    let crossed = measure(&mut rig);
    let (a, b) = (share(&crossed, "us-east-1a"), share(&crossed, "us-east-1b"));
    println!("with cross-zone on: {:.2} % and {:.2} %", a * 100.0, b * 100.0);
    assert!((a - 0.75).abs() <= 0.01 && (b - 0.25).abs() <= 0.01, "{a} and {b}");
    assert_eq!(crossed.zones.get("us-east-1c"), None, "a zone that is not enabled got requests");
    rig.finish();
}

#[test]
fn enabling_and_disabling_zones_moves_traffic_at_once_and_loses_nothing() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 1), ("us-east-1b", 1)]);
    let steady = Steady::start(&rig, "test", 500);
    let flow = |rig: &mut Rig, more: u64| {
        let until = steady.snapshot().sent + more;
        rig.wait("traffic", Duration::from_secs(20), |_| (steady.snapshot().sent >= until).then_some(()));
    };
    flow(&mut rig, 500);
    let zones = |zone: &str| [zone.to_owned()].into_iter().collect();
    rig.call(&elb::DisableAvailabilityZonesForLoadBalancer {
        load_balancer_name: "test".into(),
        availability_zones: zones("us-east-1b"),
    })
    .unwrap();
    let disabled = steady.elapsed();
    // The traffic goes on naming the node of the disabled zone, as a client with an old DNS answer does.
    flow(&mut rig, 1_000);
    let then = steady.snapshot();
    let last = then.instances[ids[1].as_str()].last_sent;
    assert!(last <= disabled + Duration::from_millis(100), "the zone got requests {:?} after", last - disabled);
    let health = rig.health("test");
    let off = "OutOfService: Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.";
    assert!(health.contains(&(ids[1].clone(), off.into())), "{health:?}");

    rig.call(&elb::EnableAvailabilityZonesForLoadBalancer {
        load_balancer_name: "test".into(),
        availability_zones: zones("us-east-1b"),
    })
    .unwrap();
    let answers = then.instances[ids[1].as_str()].answers;
    rig.wait("the zone to serve again", Duration::from_secs(5), |_| {
        (steady.snapshot().instances[ids[1].as_str()].answers > answers).then_some(())
    });
    flow(&mut rig, 500);
    assert_eq!(steady.stop().lost, Vec::<String>::new(), "{}", rig.log());
    rig.finish();
}
