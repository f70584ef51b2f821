//! Size: 100 balancers × 50 instances, and a client that never reads.

use std::time::Instant;

use evenkeel_core::name::LoadBalancerName;

use super::*;

async fn crowd(limits: Limits) -> Rig {
    let rig = Rig::with(limits, settings()).await;
    let image = rig.image().await;
    for n in 0..100 {
        let name = format!("lb-{n:03}");
        rig.balancer(&name).await;
        let zone = ["us-east-1a", "us-east-1b"][n % 2];
        let instances = rig.launch(&image, zone, 50).await.iter().map(|id| InstanceId::new(id).unwrap()).collect();
        let name = LoadBalancerName::new(name).unwrap();
        rig.keeper.submit("test", Change::RegisterInstances { name, instances }).await.unwrap();
    }
    rig
}

#[tokio::test]
async fn a_hundred_balancers_are_described_in_no_time() {
    let rig = crowd(Limits::default()).await;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let request = bytes(&rig.signed(&elb::DescribeLoadBalancers::default()), true);
        let start = Instant::now();
        let answer = rig.raw(&request).await;
        best = best.min(start.elapsed());
        let output = client::parse::<elb::DescribeLoadBalancers>(answer.status, &answer.body).unwrap();
        assert_eq!(output.load_balancer_descriptions.len(), 100);
        assert!(output.load_balancer_descriptions.iter().all(|lb| lb.instances.len() == 50));
    }
    println!("DescribeLoadBalancers, 100 balancers × 50 instances: {best:?}");
    assert!(best < Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 }), "{best:?}");
    let start = Instant::now();
    let answer = rig.raw(&bytes(&rig.signed(&ec2::DescribeInstances::default()), true)).await;
    println!("DescribeInstances, 5000 instances: {:?}", start.elapsed());
    let reservations = client::parse::<ec2::DescribeInstances>(answer.status, &answer.body).unwrap().reservation_set;
    assert_eq!(reservations.iter().map(|r| r.instances_set.len()).sum::<usize>(), 5000);
}

/// One place only: the second client is served because the first, who takes nothing, is cut off.
#[tokio::test]
async fn a_client_that_never_reads_is_cut_off() {
    let limits = Limits { connections: 1, write: Duration::from_millis(200), ..Limits::default() };
    let rig = crowd(limits).await;
    let mut deaf = rig.connect().await;
    let request = bytes(&rig.signed(&ec2::DescribeInstances::default()), false);
    for _ in 0..20 {
        if deaf.write_all(&request).await.is_err() {
            break;
        }
    }
    let waiting = rig.raw(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(timeout(DEADLINE, waiting).await.unwrap().status, 200);
    drop(deaf);
}
