//! The control plane at size: 100 balancers with 50 instances each, all with health.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evenkeel_aws::elb;

use crate::rig::Rig;

#[test]
fn a_hundred_balancers_of_fifty_instances_are_described_and_changed_in_time() {
    let mut rig = Rig::start_alone();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 50);
    for n in 0..100 {
        let name = format!("lb-{n}");
        rig.balancer_checked_every(&name, &["us-east-1a"], 30);
        rig.add(&name, &ids);
    }
    for n in 0..100 {
        rig.wait_in_service(&format!("lb-{n}"), &ids);
    }

    let described = rig.call(&elb::DescribeLoadBalancers::default()).unwrap().load_balancer_descriptions;
    assert_eq!(described.len(), 100);
    assert!(described.iter().all(|lb| lb.instances.len() == 50));
    let time = |rig: &Rig| {
        let begin = Instant::now();
        let (status, _) = rig.ask(&elb::DescribeLoadBalancers::default()).unwrap();
        assert_eq!(status, 200);
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..11).map(|_| time(&rig)).collect();
    times.sort();
    println!("DescribeLoadBalancers of 100 × 50: median {:?}, slowest {:?}", times[5], times[10]);
    assert!(times[5] < Duration::from_millis(50), "{times:?}");

    // Registering in the midst of it: from the answer of the API to the first request that gets through.
    rig.balancer("fresh", &["us-east-1a"]);
    let node = rig.nodes("fresh")[0].1;
    let mut reached = Vec::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (busy, done) = (&rig, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                time(busy);
            }
        });
        for id in &ids[..9] {
            rig.add("fresh", std::slice::from_ref(id));
            let begin = Instant::now();
            while rig.get(node, "/").unwrap().0 != 200 {
                assert!(begin.elapsed() < Duration::from_secs(5), "the road never heard of it\n{}", rig.log());
            }
            reached.push(begin.elapsed());
            rig.remove("fresh", std::slice::from_ref(id));
            while rig.get(node, "/").unwrap().0 == 200 {
                assert!(begin.elapsed() < Duration::from_secs(5), "the road never heard of its going");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    reached.sort();
    println!("from register to the first request: median {:?}, slowest {:?}", reached[4], reached[8]);
    assert!(reached[4] < Duration::from_millis(100), "{reached:?}");
    rig.finish();
}
