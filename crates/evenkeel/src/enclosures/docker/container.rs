//! An instance's container: made at its first boot, started and killed with each, removed with the instance.
//!
//! Owns what it is called, its limits, its network and its address there. Must never remove what another instance needs: the
//! image and the network go with the last that has them. Next: [`super::image`].

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig,
    NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, InspectNetworkOptions, KillContainerOptions,
    RemoveContainerOptions, StartContainerOptions, WaitContainerOptions,
};
use evenkeel_core::name::InstanceId;
use evenkeel_core::world::Pool;
use evenkeel_init::PROGRAM;
use tokio_stream::StreamExt as _;

use super::engine::{answered, told};
use super::image;
use crate::drivers::folder::Spec;
use crate::drivers::{Engine, LaunchSpec, Limits};
use crate::enclosures::namespaces::is_routable;
use crate::images::tree::Shape;

/// What tells ours from others on the same engine.
const LABEL: &str = "evenkeel.instance";
/// What root may not do in a container besides what Docker forbids anyway: make devices.
const DROPPED: &str = "MKNOD";

/// What an instance's container is called.
#[must_use]
pub fn name(instance: &InstanceId) -> String {
    format!("evenkeel-{instance}")
}

/// Makes the container, unless it is there.
///
/// # Errors
/// Completes "failed to …".
pub async fn make(docker: &Docker, engine: &Engine, spec: &LaunchSpec) -> Result<(), String> {
    let say = |error: &bollard::errors::Error| format!("make the instance's container: {}", told(error));
    let name = name(&spec.instance);
    match docker.inspect_container(&name, None::<InspectContainerOptions>).await {
        Ok(_) => return Ok(()),
        Err(error) if answered(&error, 404) => {}
        Err(error) => return Err(say(&error)),
    }
    connect(docker, engine).await?;
    let mut again = true;
    loop {
        let image = image::load(docker, &spec.image_dir, Shape::of(&spec.manifest)).await?;
        let options = CreateContainerOptions { name: Some(name.clone()), ..CreateContainerOptions::default() };
        match docker.create_container(Some(options), body(engine, spec, image)).await {
            Ok(_) => return Ok(()),
            // Its last instance was removed meanwhile, and it with that.
            Err(error) if again && answered(&error, 404) => again = false,
            Err(error) => return Err(say(&error)),
        }
    }
}

fn body(engine: &Engine, spec: &LaunchSpec, image: String) -> ContainerCreateBody {
    let limits = Bounds::of(spec.limits);
    let network = network_name(engine);
    let host_config = HostConfig {
        network_mode: Some(network.clone()),
        memory: limits.memory,
        memory_swap: limits.memory,
        cpu_period: limits.cpu_quota.map(|_| PERIOD),
        cpu_quota: limits.cpu_quota,
        cap_drop: Some(vec![DROPPED.into()]),
        ..HostConfig::default()
    };
    let address = EndpointIpamConfig {
        ipv4_address: Some(spec.address.to_string()),
        link_local_ips: Some(vec![evenkeel_init::METADATA.to_string()]),
        ..EndpointIpamConfig::default()
    };
    let endpoint = EndpointSettings { ipam_config: Some(address), ..EndpointSettings::default() };
    ContainerCreateBody {
        image: Some(image),
        entrypoint: Some(vec![PROGRAM.into()]),
        cmd: Some(Vec::new()),
        user: Some("0:0".into()),
        working_dir: Some("/".into()),
        hostname: Some(format!("ip-{}", spec.address.to_string().replace(['.', ':'], "-"))),
        labels: Some(HashMap::from([(LABEL.into(), spec.instance.to_string())])),
        host_config: Some(host_config),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(network, endpoint)])) }),
        ..ContainerCreateBody::default()
    }
}

/// Starts the container afresh: what may still run in it from a boot before is ended first.
///
/// # Errors
/// Completes "failed to …".
pub async fn start(docker: &Docker, engine: &Engine, spec: &Spec) -> Result<(), String> {
    let say = |error: &bollard::errors::Error| format!("start the instance's container: {}", told(error));
    let name = name(&spec.instance);
    kill(docker, &spec.instance).await?;
    connect(docker, engine).await?;
    // The instance's type may have changed since it was made.
    let limits = Bounds::of(spec.limits);
    if limits.memory.is_some() || limits.cpu_quota.is_some() {
        let update = ContainerUpdateBody {
            memory: limits.memory,
            memory_swap: limits.memory,
            cpu_period: limits.cpu_quota.map(|_| PERIOD),
            cpu_quota: limits.cpu_quota,
            ..ContainerUpdateBody::default()
        };
        docker.update_container(&name, update).await.map_err(|error| say(&error))?;
    }
    docker.start_container(&name, None::<StartContainerOptions>).await.map_err(|error| say(&error))
}

/// Ends everything in the container, and returns when it has ended. One that does not run, or is not there, is left as it
/// is.
///
/// # Errors
/// Completes "failed to …".
pub async fn kill(docker: &Docker, instance: &InstanceId) -> Result<(), String> {
    let name = name(instance);
    match docker.kill_container(&name, None::<KillContainerOptions>).await {
        Ok(()) => ended(docker, instance).await,
        Err(error) if answered(&error, 404) || answered(&error, 409) => Ok(()),
        Err(error) => Err(format!("kill the instance's container: {}", told(&error))),
    }
}

/// Waits until the container does not run any more.
///
/// # Errors
/// Completes "failed to …".
pub async fn ended(docker: &Docker, instance: &InstanceId) -> Result<(), String> {
    let options = WaitContainerOptions { condition: "not-running".into() };
    let mut answers = Box::pin(docker.wait_container(&name(instance), Some(options)));
    match answers.next().await {
        // How its first process ended says nothing.
        Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
        Some(Err(error)) if answered(&error, 404) => Ok(()),
        Some(Err(error)) => Err(format!("wait for the instance's container: {}", told(&error))),
        None => Err("wait for the instance's container: the engine has hung up".into()),
    }
}

/// Removes the container, and its image and network where it was the last that had them.
///
/// # Errors
/// Completes "failed to …".
pub async fn remove(docker: &Docker, engine: &Engine, instance: &InstanceId) -> Result<(), String> {
    let name = name(instance);
    let image = match docker.inspect_container(&name, None::<InspectContainerOptions>).await {
        Ok(about) => about.config.and_then(|config| config.image),
        Err(error) if answered(&error, 404) => None,
        Err(error) => return Err(format!("look at the instance's container: {}", told(&error))),
    };
    let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
    match docker.remove_container(&name, Some(options)).await {
        Err(error) if !answered(&error, 404) => {
            return Err(format!("remove the instance's container: {}", told(&error)));
        }
        _ => {}
    }
    if let Some(image) = image {
        image::remove(docker, &image).await?;
    }
    match docker.remove_network(&network_name(engine)).await {
        // Another instance is in it.
        Err(error) if !(answered(&error, 403) || answered(&error, 404) || answered(&error, 409)) => {
            Err(format!("remove the instances' network: {}", told(&error)))
        }
        _ => Ok(()),
    }
}

/// The network of all instances with addresses of one pool.
fn network_name(engine: &Engine) -> String {
    format!("evenkeel-{}", engine.network.replace('/', "-"))
}

/// Makes the network, unless it is there. Of several launches at once one makes it, and an engine refuses the others before
/// it shows them what that one has made.
async fn connect(docker: &Docker, engine: &Engine) -> Result<(), String> {
    let name = network_name(engine);
    let ipam = IpamConfig {
        subnet: Some(engine.network.clone()),
        gateway: gateway(&engine.network).map(|address| address.to_string()),
        ..IpamConfig::default()
    };
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".into()),
        ipam: Some(Ipam { config: Some(vec![ipam]), ..Ipam::default() }),
        labels: Some(HashMap::from([(LABEL.into(), String::new())])),
        ..NetworkCreateRequest::default()
    };
    let until = Instant::now() + SHOWN;
    loop {
        let made = match docker.inspect_network(&name, None::<InspectNetworkOptions>).await {
            Ok(_) => return Ok(()),
            Err(error) if answered(&error, 404) => docker.create_network(request.clone()).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(_) => return Ok(()),
            Err(_) if Instant::now() < until => tokio::time::sleep(LOOK).await,
            Err(error) => {
                return Err(format!("make the instances' network {}: {}", engine.network, told(&error)));
            }
        }
    }
}

/// The node's own address in the network: one that ends in 255, which the pool never gives out.
fn gateway(network: &str) -> Option<Ipv4Addr> {
    let (address, _) = network.split_once('/')?;
    let [a, b, c, _] = address.parse::<Ipv4Addr>().ok()?.octets();
    Some(Ipv4Addr::new(a, b, c, 255))
}

/// Whether instances in containers can have addresses out of this pool. The error says why not and what to do.
///
/// # Errors
/// Addresses that no packet can be routed to, or too few of them.
pub fn can_connect(pool: &Pool) -> Result<(), (String, &'static str)> {
    let text = pool.to_string();
    let parts =
        text.split_once('/').and_then(|(address, prefix)| Some((address.parse().ok()?, prefix.parse::<u8>().ok()?)));
    match parts {
        Some((address, prefix)) if is_routable(address) && prefix < LONGEST_PREFIX => Ok(()),
        _ => Err((
            format!(
                "Docker cannot use `--instance-pool {pool}`: nothing is routed to such addresses, or they are too few"
            ),
            "give private IPv4 addresses that this machine uses for nothing else, as `--instance-pool 10.81.0.0/16`",
        )),
    }
}

/// How long an engine may take to show a network that somebody else is making.
const SHOWN: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// What limits of processors are parts of: 100 ms, in microseconds.
const PERIOD: i64 = 100_000;
/// In a smaller network the address that ends in 255 is its broadcast.
const LONGEST_PREFIX: u8 = 24;

/// Limits as an engine has them.
struct Bounds {
    memory: Option<i64>,
    cpu_quota: Option<i64>,
}

impl Bounds {
    fn of(limits: Limits) -> Self {
        Self {
            memory: limits.memory.and_then(|bytes| bytes.try_into().ok()),
            // A part of a period, since an engine refuses a number of processors that its machine has not.
            cpu_quota: limits.cpu_millis.map(|millis| i64::from(millis) * PERIOD / 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_takes_an_address_that_no_instance_gets() {
        let check = |network: &str, want: &str| assert_eq!(gateway(network), Some(want.parse().unwrap()), "{network}");
        check("10.81.0.0/16", "10.81.0.255");
        check("10.81.2.0/23", "10.81.2.255");
        let check = |pool: &str, want: bool| assert_eq!(can_connect(&pool.parse().unwrap()).is_ok(), want, "{pool}");
        check("10.81.0.0/16", true);
        check("10.81.2.0/23", true);
        check("10.81.2.0/24", false);
        check("127.81.0.0/16", false);
    }
}
