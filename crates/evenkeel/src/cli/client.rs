//! An ordinary signed client of the daemon's APIs, as any AWS SDK is one; pages are followed to their end.
//!
//! Has no back door: what it cannot ask over the API, the command line cannot do. Next: [`super::http`] for the bytes,
//! [`evenkeel_aws::client`] for what they mean.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use evenkeel_aws::dispatch::Action;
use evenkeel_aws::{Credentials, Time, client, ec2, elb};

use super::http::{self, Endpoint};
use super::settings::Settings;

/// Bound on the pages of one listing: a server that never ends is an error, not an endless loop.
const MAX_PAGES: usize = 10_000;

/// A client of one daemon, for one region.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Settings,
}

impl Client {
    /// A client for `settings`. Connects with the first call, and anew with each.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What it goes by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same client, which signs with other keys.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { settings: Settings { credentials, ..self.settings.clone() } }
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.settings.endpoint
    }

    /// The region that signatures name.
    pub fn region(&self) -> &str {
        &self.settings.region
    }

    /// Makes one call. Sends it once: nothing is tried again but connecting.
    ///
    /// # Errors
    /// With [`evenkeel_aws::Error`] in its chain if the daemon refused, [`http::Error`] if it could not be asked.
    pub fn call<A: Action>(&self, input: &A) -> anyhow::Result<A::Output> {
        let settings = &self.settings;
        let host = settings.endpoint.authority();
        let request = client::encode(input, &host, &settings.credentials, &settings.region, now())
            .with_context(|| format!("failed to write {}", A::NAME))?;
        let (status, body) = http::exchange(&settings.endpoint, &request)?;
        Ok(client::parse::<A>(status, &body)?)
    }

    /// How the daemon fares, as JSON: its own signed `GET /status`, for which AWS has no call.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn status(&self) -> anyhow::Result<Vec<u8>> {
        self.own("GET", "/status")
    }

    /// Has the files go of images that nobody names any more; with `dry` nothing goes. The answer is JSON.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn collect_images(&self, dry: bool) -> anyhow::Result<Vec<u8>> {
        self.own("POST", if dry { "/images/collect?dry-run" } else { "/images/collect" })
    }

    /// Why an auto scaling group is as it is, as JSON.
    ///
    /// # Errors
    /// Those of [`Self::call`]; `ValidationError` for an unknown name.
    pub fn explain(&self, group: &str) -> anyhow::Result<Vec<u8>> {
        let name = percent_encoding::utf8_percent_encode(group, percent_encoding::NON_ALPHANUMERIC);
        self.own("GET", &format!("/explain?{name}"))
    }

    fn own(&self, method: &str, target: &str) -> anyhow::Result<Vec<u8>> {
        let settings = &self.settings;
        let mut request = evenkeel_aws::Request {
            method: method.into(),
            target: target.into(),
            headers: vec![("Host".into(), settings.endpoint.authority().into_bytes())],
            body: Vec::new(),
        };
        evenkeel_aws::sigv4::sign(&mut request, &settings.credentials, &settings.region, "evenkeel", now());
        let (status, body) = http::exchange(&settings.endpoint, &request)?;
        if status == 200 {
            return Ok(body);
        }
        let document = String::from_utf8_lossy(&body);
        let (code, message) = evenkeel_aws::xml::read_error(&document)
            .unwrap_or_else(|| ("UnreadableResponse".into(), format!("status {status}")));
        Err(evenkeel_aws::Error::told(status, code, message).into())
    }

    /// All load balancers, or those of these names.
    ///
    /// # Errors
    /// Those of [`Self::call`]; `LoadBalancerNotFound` for an unknown name.
    pub fn load_balancers(&self, names: &[&str]) -> anyhow::Result<Vec<elb::LoadBalancerDescription>> {
        let mut input = elb::DescribeLoadBalancers {
            load_balancer_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        pages(|marker| {
            input.marker = marker;
            let page = self.call(&input)?;
            Ok((page.load_balancer_descriptions.0, page.next_marker))
        })
    }

    /// The load balancer of exactly this name, or `None`.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn load_balancer(&self, name: &str) -> anyhow::Result<Option<elb::LoadBalancerDescription>> {
        match self.load_balancers(&[name]) {
            Ok(found) => Ok(found.into_iter().find(|balancer| balancer.load_balancer_name == name)),
            Err(error) if told(&error).is_some_and(|error| error.code == "LoadBalancerNotFound") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How instances behind a load balancer fare: those given, or all.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn instance_health(&self, name: &str, ids: &[String]) -> anyhow::Result<Vec<elb::InstanceState>> {
        let input = elb::DescribeInstanceHealth {
            load_balancer_name: name.to_owned(),
            instances: ids.iter().map(|id| elb::Instance { instance_id: id.clone() }).collect(),
        };
        Ok(self.call(&input)?.instance_states.0)
    }

    /// Reservations that match; empty filters and ids mean all.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn reservations(&self, filters: Vec<ec2::Filter>, ids: Vec<String>) -> anyhow::Result<Vec<ec2::Reservation>> {
        let mut input = ec2::DescribeInstances { filters, instance_ids: ids, ..Default::default() };
        pages(|token| {
            input.next_token = token;
            let page = self.call(&input)?;
            Ok((page.reservation_set.0, page.next_token))
        })
    }

    /// All images, oldest first as the daemon lists them.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn images(&self) -> anyhow::Result<Vec<ec2::Image>> {
        let mut input = ec2::DescribeImages::default();
        pages(|token| {
            input.next_token = token;
            let page = self.call(&input)?;
            Ok((page.images_set.0, page.next_token))
        })
    }

    /// Network interfaces with exactly this description.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn interfaces(&self, description: &str) -> anyhow::Result<Vec<ec2::NetworkInterface>> {
        let mut input = ec2::DescribeNetworkInterfaces {
            filters: vec![ec2::Filter { name: "description".into(), values: vec![description.to_owned()] }],
            ..Default::default()
        };
        let mut found = pages(|token| {
            input.next_token = token;
            let page = self.call(&input)?;
            Ok((page.network_interface_set.0, page.next_token))
        })?;
        // A `*` in the value is a wildcard to the server.
        found.retain(|interface| interface.description == description);
        Ok(found)
    }

    /// Names of the regions that the daemon serves.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub fn regions(&self) -> anyhow::Result<Vec<String>> {
        let output = self.call(&ec2::DescribeRegions::default())?;
        Ok(output.region_info.into_iter().map(|region| region.region_name).collect())
    }
}

/// What the daemon refused with, if that is what `error` is about.
pub fn told(error: &anyhow::Error) -> Option<&evenkeel_aws::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// Collects pages until one names no next one. An empty token ends them as well; a repeated one is an error.
pub(super) fn pages<T>(
    mut page: impl FnMut(Option<String>) -> anyhow::Result<(Vec<T>, Option<String>)>,
) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let (mut more, next) = page(token.clone())?;
        all.append(&mut more);
        match next.filter(|next| !next.is_empty()) {
            None => return Ok(all),
            next if next == token => anyhow::bail!("failed to read all pages: the server names one page twice"),
            next => token = next,
        }
    }
    anyhow::bail!("failed to read all pages: there are more than {MAX_PAGES}")
}

/// Now, for signatures.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_at_an_absent_or_an_empty_token_and_never_loop() {
        let check = |tokens: &[Option<&str>], expected: Option<usize>| {
            let mut at = 0;
            let read = pages(|_| {
                at += 1;
                Ok((vec![at], tokens[(at - 1).min(tokens.len() - 1)].map(str::to_owned)))
            });
            assert_eq!(read.ok().map(|all| all.len()), expected, "{tokens:?}");
        };
        check(&[None], Some(1));
        check(&[Some("a"), Some("b"), None], Some(3));
        check(&[Some("a"), Some("")], Some(2));
        check(&[Some("a"), Some("a")], None);
        check(&[Some("a"), Some("b"), Some("b")], None);
    }
}
