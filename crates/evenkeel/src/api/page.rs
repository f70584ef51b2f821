//! Pages: long answers in pieces, with opaque tokens.
//!
//! A token names the last thing shown, not a position, so that things made or gone between two calls neither repeat nor
//! hide another. Must never keep state for a caller.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evenkeel_aws::Error;

use super::words;

/// Which piece is wanted.
pub(super) struct Page {
    kind: &'static str,
    after: Option<String>,
    size: usize,
}

impl Page {
    /// A page of an EC2 call: `MaxResults` from `least` to 1000, everything when not stated.
    pub(super) fn ec2(kind: &'static str, max: Option<i64>, least: i64, token: Option<&str>) -> Result<Self, Error> {
        const MOST: i64 = 1000;
        let expecting = |what: &str| {
            let value = max.unwrap_or_default();
            let text = format!("Value ( {value} ) for parameter maxResults is invalid. Expecting a value {what}.");
            Error::invalid_parameter(text)
        };
        let size = match max {
            None => usize::MAX,
            Some(max) if max < least => return Err(expecting(&format!("greater than or equal to {least}"))),
            Some(max) if max > MOST => return Err(expecting(&format!("less than or equal to {MOST}"))),
            Some(max) => usize::try_from(max).unwrap_or(usize::MAX),
        };
        let bad = || Error::invalid_parameter("The specified NextToken is invalid or has expired.");
        Self::new(kind, token, size).ok_or_else(bad)
    }

    /// A page of an ELB call: `PageSize` 1 to 400. Everything when it is not stated, where AWS gives 400: boto 2's
    /// `elbadmin` states none and asks for no second page.
    pub(super) fn elb(kind: &'static str, size: Option<i64>, marker: Option<&str>) -> Result<Self, Error> {
        const MOST: i64 = 400;
        let size = match size {
            None => usize::MAX,
            Some(size) if (1..=MOST).contains(&size) => usize::try_from(size).unwrap_or(usize::MAX),
            Some(size) => {
                let rule = if size < 1 { "greater than or equal to 1" } else { "less than or equal to 400" };
                let rule = format!("Member must have value {rule}");
                return Err(words::out_of_bounds(&size.to_string(), "pageSize", &rule));
            }
        };
        let bad = || Error::validation("The specified Marker is invalid.");
        Self::new(kind, marker, size).ok_or_else(bad)
    }

    /// A page of an IAM call: `MaxItems` 1 to 1000, 100 when not stated.
    pub(super) fn iam(kind: &'static str, max: Option<i64>, marker: Option<&str>) -> Result<Self, Error> {
        let max = max.unwrap_or(100);
        let size = usize::try_from(max).ok().filter(|size| (1..=1000).contains(size)).ok_or_else(|| {
            let rule = if max < 1 { "greater than or equal to 1" } else { "less than or equal to 1000" };
            words::out_of_bounds(&max.to_string(), "maxItems", &format!("Member must have value {rule}"))
        })?;
        let bad = || Error::validation("Invalid Marker.");
        Self::new(kind, marker, size).ok_or_else(bad)
    }

    /// A page of an ACM call: `MaxItems` 1 to 1000, everything when not stated.
    pub(super) fn acm(kind: &'static str, max: Option<i64>, token: Option<&str>) -> Result<Self, Error> {
        let size = match max {
            None => usize::MAX,
            Some(max) => usize::try_from(max).ok().filter(|size| (1..=1000).contains(size)).ok_or_else(|| {
                let rule = if max < 1 { "greater than or equal to 1" } else { "less than or equal to 1000" };
                words::out_of_bounds(&max.to_string(), "maxItems", &format!("Member must have value {rule}"))
            })?,
        };
        Self::new(kind, token, size).ok_or_else(|| Error::sender("InvalidArgsException", "The NextToken is invalid."))
    }

    /// A page of an Auto Scaling call: `MaxRecords` 1 to 100. Everything when it is not stated, where AWS gives 50: boto 2's
    /// `asadmin` asks for no second page.
    pub(super) fn autoscaling(kind: &'static str, max: Option<i64>, token: Option<&str>) -> Result<Self, Error> {
        let size = match max {
            None => usize::MAX,
            Some(max) => usize::try_from(max).ok().filter(|size| (1..=100).contains(size)).ok_or_else(|| {
                let rule = if max < 1 { "greater than or equal to 1" } else { "less than or equal to 100" };
                words::out_of_bounds(&max.to_string(), "maxRecords", &format!("Member must have value {rule}"))
            })?,
        };
        Self::new(kind, token, size).ok_or_else(|| Error::sender("InvalidNextToken", "The token is not valid."))
    }

    /// A page of an SNS call: always at most 100.
    pub(super) fn sns(kind: &'static str, token: Option<&str>) -> Result<Self, Error> {
        let bad = || Error::sender("InvalidParameter", "Invalid parameter: NextToken");
        Self::new(kind, token, 100).ok_or_else(bad)
    }

    /// A page of a CloudWatch call about alarms, of so many.
    pub(super) fn alarms(kind: &'static str, size: usize, token: Option<&str>) -> Result<Self, Error> {
        let bad = || Error::sender("InvalidNextToken", "The specified NextToken is invalid.");
        Self::new(kind, token, size).ok_or_else(bad)
    }

    fn new(kind: &'static str, token: Option<&str>, size: usize) -> Option<Self> {
        let after = match token.filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => {
                let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
                let (stated, key) = text.split_once(' ')?;
                Some((stated == kind).then(|| key.to_owned())?)
            }
        };
        Some(Self { kind, after, size })
    }

    /// The page out of `things`, which come in the order of `key`, and the token of the next one if there is more.
    pub(super) fn cut<T>(
        &self,
        things: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let fresh = |thing: &T| self.after.as_ref().is_none_or(|after| key(thing) > *after);
        let mut rest = things.into_iter().filter(fresh);
        let page: Vec<T> = rest.by_ref().take(self.size).collect();
        let token = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => Some(self.token(&key(last))),
            _ => None,
        };
        (page, token)
    }

    /// The page out of `things` in any order, by ids that none shares with another: the least first, or the greatest.
    pub(super) fn of_ids<T>(
        &self,
        mut things: Vec<T>,
        id: impl Fn(&T) -> &str,
        descending: bool,
    ) -> (Vec<T>, Option<String>) {
        let order = |a: &str, b: &str| if descending { b.cmp(a) } else { a.cmp(b) };
        if let Some(after) = &self.after {
            things.retain(|thing| order(id(thing), after).is_gt());
        }
        let more = things.len() > self.size;
        if more {
            things.select_nth_unstable_by(self.size, |a, b| order(id(a), id(b)));
            things.truncate(self.size);
        }
        things.sort_unstable_by(|a, b| order(id(a), id(b)));
        let token = things.last().filter(|_| more).map(|last| self.token(id(last)));
        (things, token)
    }

    fn token(&self, last: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{} {last}", self.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_neither_repeat_nor_hide_when_things_come_and_go() {
        let first = Page::elb("b", Some(2), None).unwrap();
        let (page, token) = first.cut(["a", "c", "e", "g"], |t| t.to_string());
        assert_eq!(page, ["a", "c"]);
        let second = Page::elb("b", Some(2), token.as_deref()).unwrap();
        // `c` is gone, `b` and `d` are new.
        let (page, token) = second.cut(["a", "b", "d", "e", "g"], |t| t.to_string());
        assert_eq!(page, ["d", "e"]);
        let last = Page::elb("b", Some(2), token.as_deref()).unwrap();
        assert_eq!(last.cut(["a", "b", "d", "e", "g"], |t| t.to_string()), (vec!["g"], None));
    }

    #[test]
    fn pages_by_id_go_either_way() {
        let ids = || vec!["3", "1", "5", "2", "4"];
        let page =
            |token: Option<&str>, descending| Page::alarms("h", 2, token).unwrap().of_ids(ids(), |id| id, descending);
        let (first, token) = page(None, true);
        let (second, token) = page(token.as_deref(), true);
        let (third, last) = page(token.as_deref(), true);
        assert_eq!((first, second, third, last), (vec!["5", "4"], vec!["3", "2"], vec!["1"], None));
        let (first, token) = page(None, false);
        assert_eq!((first, page(token.as_deref(), false).0), (vec!["1", "2"], vec!["3", "4"]));
        assert_eq!(Page::alarms("h", 2, Some("?")).err().unwrap().code, "InvalidNextToken");
    }

    #[test]
    fn foreign_tokens_and_sizes_are_refused() {
        let (_, token) = Page::elb("b", Some(1), None).unwrap().cut(["a", "c"], |t| t.to_string());
        assert!(Page::ec2("i", None, 5, token.as_deref()).is_err());
        assert!(Page::elb("b", None, Some("nonsense!")).is_err());
        assert!(Page::elb("b", None, Some("")).is_ok());
        for size in [0, -1, 401] {
            assert_eq!(Page::elb("b", Some(size), None).err().unwrap().code, "ValidationError");
        }
        for max in [4, 0, 1001] {
            assert_eq!(Page::ec2("i", Some(max), 5, None).err().unwrap().code, "InvalidParameterValue");
        }
    }
}
