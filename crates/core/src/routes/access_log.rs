//! Where the access log of one balancer goes: an S3-style bucket, an object for each node and interval.
//!
//! Owns how objects are called (AWS, "Access logs for your Classic Load Balancer"). Must never say how one is put there.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::LoadBalancerName;
use crate::time::Timestamp;

/// A balancer's access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLogRoute {
    /// The bucket's name.
    pub bucket: String,
    /// What stands before `AWSLogs` in each key, without a `/` at either end; empty for nothing.
    #[serde(default)]
    pub prefix: String,
    /// Minutes that one object covers: 5 or 60.
    pub minutes: u16,
    /// The account's id: 12 digits.
    pub account: String,
    /// The region's name.
    pub region: String,
}

impl AccessLogRoute {
    /// When the interval ends that holds this moment: intervals begin with the hour.
    #[must_use]
    pub fn end_of(&self, at: Timestamp) -> Timestamp {
        let span = u64::from(self.minutes.max(1)) * 60_000;
        Timestamp((at.0 / span + 1).saturating_mul(span))
    }

    /// The key of the object of one node's records of the interval that ends then; `random` tells it from others of the
    /// same interval.
    #[must_use]
    pub fn key(&self, balancer: &LoadBalancerName, node: IpAddr, end: Timestamp, random: &str) -> String {
        let Self { account, region, .. } = self;
        let Date { year, month, day, hour, minute } = Date::of(end);
        let at = format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}Z");
        // A colon would do in S3, but not on every disk.
        let node = node.to_string().replace(':', "-");
        format!(
            "{}AWSLogs/{account}/elasticloadbalancing/{region}/{year:04}/{month:02}/{day:02}/{account}_elasticloadbalancing_{region}_{balancer}_{at}_{node}_{random}.log",
            self.before()
        )
    }

    /// The key of the object that is put there once, when the log is switched on, to see whether that can be done.
    #[must_use]
    pub fn test_key(&self) -> String {
        format!("{}AWSLogs/{}/ELBAccessLogTestFile", self.before(), self.account)
    }

    fn before(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) }
    }
}

/// A moment by the calendar, in UTC.
struct Date {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
}

impl Date {
    fn of(at: Timestamp) -> Self {
        let (days, minutes) = (at.0 / 86_400_000, at.0 / 60_000 % 1440);
        // Years that begin in March: the leap day is the last of one.
        let from_march_0 = days + 719_468;
        let (era, day_of_era) = (from_march_0 / 146_097, from_march_0 % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: minutes / 60,
            minute: minutes % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(prefix: &str, minutes: u16) -> AccessLogRoute {
        AccessLogRoute {
            bucket: "logs".into(),
            prefix: prefix.into(),
            minutes,
            account: "123456789012".into(),
            region: "us-west-2".into(),
        }
    }

    #[test]
    fn objects_are_called_as_aws_calls_them() {
        let name = LoadBalancerName::new("my-loadbalancer").unwrap();
        // 2014-02-15T23:40:00Z, the example of AWS's page.
        let end = Timestamp(1_392_507_600_000);
        let key = route("my-app", 5).key(&name, [172, 160, 1, 192].into(), end, "20sg8hgm");
        let wanted = "my-app/AWSLogs/123456789012/elasticloadbalancing/us-west-2/2014/02/15/123456789012_elasticloadbalancing_us-west-2_my-loadbalancer_20140215T2340Z_172.160.1.192_20sg8hgm.log";
        assert_eq!(key, wanted);
        let key = route("", 60).key(&name, "fd00::1".parse().unwrap(), Timestamp(951_782_400_000), "x");
        assert!(key.starts_with("AWSLogs/123456789012/elasticloadbalancing/us-west-2/2000/02/29/"), "{key}");
        assert!(key.ends_with("_20000229T0000Z_fd00--1_x.log"), "{key}");
        assert_eq!(route("my-app", 5).test_key(), "my-app/AWSLogs/123456789012/ELBAccessLogTestFile");
        assert_eq!(route("", 5).test_key(), "AWSLogs/123456789012/ELBAccessLogTestFile");
    }

    #[test]
    fn intervals_end_with_the_clock() {
        let check = |minutes, at, end| assert_eq!(route("", minutes).end_of(Timestamp(at)), Timestamp(end));
        check(5, 0, 300_000);
        check(5, 299_999, 300_000);
        check(5, 300_000, 600_000);
        check(60, 1_392_507_600_000 - 1, 1_392_508_800_000);
        check(0, 0, 60_000);
    }
}
