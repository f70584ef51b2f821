//! What `elbadmin` prints, to the column: boto 2.49's format strings on described load balancers.
//!
//! Pure; asks nobody anything. Next: [`super`] for when it is printed.

use std::collections::BTreeMap;
use std::fmt::Write;

use evenkeel_aws::elb::{InstanceState, LoadBalancerDescription};

/// `elbadmin list`.
pub fn list(balancers: &[LoadBalancerDescription]) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{:<20} {}", "Name", "DNS Name"));
    line(&mut text, format_args!("{}", "-".repeat(80)));
    for balancer in balancers {
        line(&mut text, format_args!("{:<20} {}", balancer.load_balancer_name, balancer.dns_name));
    }
    text
}

/// `elbadmin get`: the load balancer, the health of its instances, and the `Name` tags of those.
pub fn describe(
    balancer: &LoadBalancerDescription,
    health: &[InstanceState],
    names: &BTreeMap<String, String>,
) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{}", "=".repeat(80)));
    line(&mut text, format_args!("Name: {}", balancer.load_balancer_name));
    line(&mut text, format_args!("DNS Name: {}", balancer.dns_name));
    if let Some(name) = balancer.canonical_hosted_zone_name.as_ref().filter(|name| !name.is_empty()) {
        line(&mut text, format_args!("Canonical hosted zone name: {name}"));
    }
    if let Some(id) = balancer.canonical_hosted_zone_name_id.as_ref().filter(|id| !id.is_empty()) {
        line(&mut text, format_args!("Canonical hosted zone name id: {id}"));
    }
    text.push('\n');
    line(&mut text, format_args!("Health Check: HealthCheck:{}", balancer.health_check.target));
    text.push('\n');
    text.push_str("Listeners\n---------\n");
    line(&mut text, format_args!("{:<8} {:<8} {}", "IN", "OUT", "PROTO"));
    for described in &balancer.listener_descriptions {
        let listener = &described.listener;
        let (front, back) = (listener.load_balancer_port, listener.instance_port);
        line(&mut text, format_args!("{front:<8} {back:<8} {}", listener.protocol));
    }
    text.push('\n');
    text.push_str("  Zones  \n---------\n");
    for zone in &balancer.availability_zones {
        line(&mut text, format_args!("{zone}"));
    }
    text.push('\n');
    instances(&mut text, health, names);
    text.push('\n');
    text
}

fn instances(text: &mut String, health: &[InstanceState], names: &BTreeMap<String, String>) {
    let width = names.values().map(|name| name.chars().count()).max().unwrap_or(0).max(4) + 2;
    text.push_str("Instances\n---------\n");
    line(text, format_args!("{:<12} {:<15} {:<width$} {}", "ID", "STATE", "NAME", "DESCRIPTION"));
    for state in health {
        let name = names.get(&state.instance_id).map_or("", String::as_str);
        let (id, state, description) = (&state.instance_id, &state.state, &state.description);
        line(text, format_args!("{id:<12} {state:<15} {name:<width$} {description}"));
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // A String takes whatever is written to it.
    let _ = text.write_fmt(content);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use evenkeel_aws::elb::{HealthCheck, Listener, ListenerDescription};

    use super::*;

    fn balancer() -> LoadBalancerDescription {
        let listener = |front, back, protocol: &str| ListenerDescription {
            listener: Listener {
                protocol: protocol.into(),
                load_balancer_port: front,
                instance_port: back,
                ..Default::default()
            },
            ..Default::default()
        };
        LoadBalancerDescription {
            load_balancer_name: "web".into(),
            dns_name: "web-1.elb.example".into(),
            listener_descriptions: vec![listener(443, 80, "HTTPS"), listener(10025, 25, "TCP")].into(),
            availability_zones: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()].into(),
            health_check: HealthCheck { target: "HTTP:80/".into(), ..Default::default() },
            ..Default::default()
        }
    }

    fn state(id: &str, state: &str, description: &str) -> InstanceState {
        InstanceState {
            instance_id: id.into(),
            state: state.into(),
            reason_code: "N/A".into(),
            description: description.into(),
        }
    }

    #[test]
    fn a_balancer_is_printed_as_boto_prints_it() {
        let health = [state("i-1", "InService", "N/A")];
        let names = BTreeMap::from([("i-1".to_owned(), String::new())]);
        let expected = "\
================================================================================
Name: web
DNS Name: web-1.elb.example

Health Check: HealthCheck:HTTP:80/

Listeners
---------
IN       OUT      PROTO
443      80       HTTPS
10025    25       TCP

\x20 Zones  \n\
---------
us-east-1a
us-east-1b

Instances
---------
ID           STATE           NAME   DESCRIPTION
i-1          InService              N/A

";
        assert_eq!(describe(&balancer(), &health, &names), expected);
    }

    #[test]
    fn canonical_names_show_when_there_are_any() {
        let mut balancer = balancer();
        balancer.canonical_hosted_zone_name = Some("web-1.elb.example".into());
        balancer.canonical_hosted_zone_name_id = Some(String::new());
        let text = describe(&balancer, &[], &BTreeMap::new());
        assert!(text.contains("\nCanonical hosted zone name: web-1.elb.example\n\nHealth Check"), "{text}");
        balancer.canonical_hosted_zone_name_id = Some("Z1".into());
        let text = describe(&balancer, &[], &BTreeMap::new());
        assert!(text.contains("\nCanonical hosted zone name id: Z1\n\nHealth Check"), "{text}");
    }

    #[test]
    fn the_name_column_grows_with_the_longest_name() {
        let ids = ["i-0123456789abcdef0", "i-2"];
        let health = [state(ids[0], "OutOfService", "Instance is in terminated state."), state(ids[1], "Unknown", "x")];
        let names = BTreeMap::from([(ids[0].to_owned(), String::new()), (ids[1].to_owned(), "größer".to_owned())]);
        let text = describe(&balancer(), &health, &names);
        let expected = "\
ID           STATE           NAME     DESCRIPTION
i-0123456789abcdef0 OutOfService             Instance is in terminated state.
i-2          Unknown         größer   x

";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn the_list_is_two_columns() {
        let expected =
            format!("Name                 DNS Name\n{}\nweb                  web-1.elb.example\n", "-".repeat(80));
        assert_eq!(list(&[balancer()]), expected);
    }
}
