//! Listeners: read from calls, made, taken away, shown.
//!
//! Owns their form on the wire; which of them may stand together is the World's to say.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, elb};
use evenkeel_core::change::Change;
use evenkeel_core::name::{CertificateArn, Port};
use evenkeel_core::noun::{Listener, Protocol};

use super::{Asked, words};

pub(super) async fn create(
    asked: &Asked<'_>,
    input: elb::CreateLoadBalancerListeners,
) -> Result<elb::CreateLoadBalancerListenersOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let listeners = read(&input.listeners)?;
    asked.elb(Change::CreateListeners { name, listeners }).await?;
    Ok(elb::CreateLoadBalancerListenersOutput {})
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &elb::DeleteLoadBalancerListeners,
) -> Result<elb::DeleteLoadBalancerListenersOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let read =
        |(index, number): (usize, &i64)| words::port(*number, &format!("loadBalancerPorts.{}.member", index + 1));
    let ports = input.load_balancer_ports.iter().enumerate().map(read).collect::<Result<Vec<Port>, _>>()?;
    asked.elb(Change::DeleteListeners { name, ports }).await?;
    Ok(elb::DeleteLoadBalancerListenersOutput {})
}

pub(super) async fn set_certificate(
    asked: &Asked<'_>,
    input: &elb::SetLoadBalancerListenerSSLCertificate,
) -> Result<elb::SetLoadBalancerListenerSSLCertificateOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let port = words::port(input.load_balancer_port, "loadBalancerPort")?;
    let certificate = certificate(&input.ssl_certificate_id)?;
    asked.elb(Change::SetListenerCertificate { name, port, certificate }).await?;
    Ok(elb::SetLoadBalancerListenerSSLCertificateOutput {})
}

/// Listeners as a call states them. Without an instance protocol instances are spoken to plainly.
pub(super) fn read(stated: &Members<elb::Listener>) -> Result<Vec<Listener>, Error> {
    let one = |(index, listener): (usize, &elb::Listener)| {
        let place = |field: &str| format!("listeners.{}.member.{field}", index + 1);
        let protocol = protocol(&listener.protocol, &place("protocol"))?;
        let back = listener.instance_protocol.as_deref().filter(|text| !text.is_empty());
        Ok(Listener {
            port: words::port(listener.load_balancer_port, &place("loadBalancerPort"))?,
            protocol,
            instance_port: words::port(listener.instance_port, &place("instancePort"))?,
            instance_protocol: match back {
                None => protocol.plain(),
                Some(text) => self::protocol(text, &place("instanceProtocol"))?,
            },
            certificate: listener
                .ssl_certificate_id
                .as_deref()
                .filter(|id| !id.is_empty())
                .map(certificate)
                .transpose()?,
            policies: Vec::new(),
        })
    };
    stated.iter().enumerate().map(one).collect()
}

pub(super) fn description(listener: &Listener) -> elb::ListenerDescription {
    elb::ListenerDescription {
        listener: elb::Listener {
            protocol: listener.protocol.to_string(),
            load_balancer_port: listener.port.number().into(),
            instance_protocol: Some(listener.instance_protocol.to_string()),
            instance_port: listener.instance_port.number().into(),
            ssl_certificate_id: listener.certificate.as_ref().map(ToString::to_string),
        },
        policy_names: listener.policies.iter().map(ToString::to_string).collect(),
    }
}

/// A certificate that is to exist. What is no ARN names none.
fn certificate(text: &str) -> Result<CertificateArn, Error> {
    CertificateArn::new(text).map_err(|_| {
        let text = format!("Server Certificate not found for the key: {}", words::quoted(text));
        Error::sender("CertificateNotFound", text)
    })
}

fn protocol(text: &str, place: &str) -> Result<Protocol, Error> {
    Protocol::parse(text)
        .ok_or_else(|| words::out_of_bounds(text, place, "Member must satisfy enum value set: [HTTP, HTTPS, TCP, SSL]"))
}
