//! What an account may have at most, as DescribeAccountLimits shows it.

use evenkeel_aws::{Error, elb};

use super::Asked;
use super::page::Page;

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &elb::DescribeAccountLimits,
) -> Result<elb::DescribeAccountLimitsOutput, Error> {
    let page = Page::elb("limits", input.page_size, input.marker.as_deref())?;
    let limits = &asked.world.settings().limits;
    // In order of their names, which pages go by.
    let all = [
        ("classic-listeners", limits.listeners),
        ("classic-load-balancers", limits.load_balancers),
        ("classic-registered-instances", limits.registered),
    ];
    let all = all.map(|(name, most)| elb::Limit { name: name.to_owned(), max: most.to_string() });
    let (shown, next_marker) = page.cut(all, |limit| limit.name.clone());
    Ok(elb::DescribeAccountLimitsOutput { limits: shown.into(), next_marker })
}
