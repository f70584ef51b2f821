//! EC2's filters: values are alternatives, filters must all hold, `*` and `?` are wildcards.
//!
//! Owns the grammar and the matching; which names a noun knows, and its values under them, is said by its handler. Limits:
//! 200 values a call (AWS), 256 characters a value.

use std::collections::BTreeMap;

use evenkeel_aws::{Error, ec2};

use super::words;

const MOST_VALUES: usize = 200;
const MOST_CHARS: usize = 256;

/// The filters of one call, read.
pub(super) struct Filters(Vec<(Field, Vec<Pattern>)>);

enum Field {
    Named(&'static str),
    Tag(String),
    TagKey,
    TagValue,
}

impl Filters {
    /// Reads filters on a noun that knows the names `known`, and tags.
    pub(super) fn read(filters: &[ec2::Filter], known: &[&'static str]) -> Result<Self, Error> {
        if filters.iter().map(|filter| filter.values.len()).sum::<usize>() > MOST_VALUES {
            let text = format!("The maximum number of filter values specified on a single call is {MOST_VALUES}");
            return Err(Error::sender("FilterLimitExceeded", text));
        }
        filters.iter().map(|filter| read(filter, known)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether all filters hold for a thing with these values under a name, and these tags.
    pub(super) fn hold(&self, values: impl Fn(&'static str) -> Vec<String>, tags: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(field, patterns)| {
            let fits = |text: &str| patterns.iter().any(|pattern| pattern.fits(text));
            match field {
                Field::Named(name) => values(name).iter().any(|value| fits(value)),
                Field::Tag(key) => tags.get(key).is_some_and(|value| fits(value)),
                Field::TagKey => tags.keys().any(|key| fits(key)),
                Field::TagValue => tags.values().any(|value| fits(value)),
            }
        })
    }
}

fn read(filter: &ec2::Filter, known: &[&'static str]) -> Result<(Field, Vec<Pattern>), Error> {
    let shown = words::quoted(&filter.name);
    let field = match filter.name.as_str() {
        "tag-key" => Field::TagKey,
        "tag-value" => Field::TagValue,
        name => match name.strip_prefix("tag:") {
            Some(key) => Field::Tag(key.to_owned()),
            None => Field::Named(
                known
                    .iter()
                    .find(|field| **field == name)
                    .ok_or_else(|| Error::invalid_parameter(format!("The filter '{shown}' is invalid")))?,
            ),
        },
    };
    if filter.values.is_empty() {
        return Err(Error::invalid_parameter(format!("The filter '{shown}' must have at least one value")));
    }
    if filter.values.iter().any(|value| value.chars().count() > MOST_CHARS) {
        let text = format!("A value of the filter '{shown}' is longer than {MOST_CHARS} characters");
        return Err(Error::invalid_parameter(text));
    }
    Ok((field, filter.values.iter().map(|value| Pattern::read(value)).collect()))
}

/// A value with wildcards.
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    This(char),
    One,
    Any,
}

impl Pattern {
    /// A backslash takes the meaning off what follows it.
    pub(super) fn read(text: &str) -> Self {
        let mut chars = text.chars();
        let mut parts = Vec::new();
        while let Some(c) = chars.next() {
            let part = match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::This(chars.next().unwrap_or('\\')),
                c => Part::This(c),
            };
            if part != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(part);
            }
        }
        Self(parts)
    }

    /// At most pattern length × text length steps: after a mismatch only the last `*` is tried again.
    pub(super) fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut part, mut at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(part) {
                Some(Part::Any) => {
                    retry = Some((part, at));
                    part += 1;
                }
                Some(Part::One) => (part, at) = (part + 1, at + 1),
                Some(Part::This(c)) if *c == text[at] => (part, at) = (part + 1, at + 1),
                _ => match retry {
                    Some((star, from)) => {
                        retry = Some((star, from + 1));
                        (part, at) = (star + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0[part..].iter().all(|part| *part == Part::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_ec2s_do() {
        let check = |pattern: &str, text: &str, want: bool| {
            assert_eq!(Pattern::read(pattern).fits(text), want, "`{pattern}` on `{text}`");
        };
        check("running", "running", true);
        check("Running", "running", false);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
        check("?", "", false);
        check("a*c", "abbbc", true);
        check("a*c", "abbbd", false);
        check("a?c", "abc", true);
        check("*web*", "my-web-1", true);
        check("a**b*", "ab", true);
        check(r"a\*c", "a*c", true);
        check(r"a\*c", "abc", false);
        check(r"a\", r"a\", true);
        check("a*a*a*a*a*b", &"a".repeat(200), false);
    }

    fn filter(name: &str, values: &[&str]) -> ec2::Filter {
        ec2::Filter { name: name.into(), values: values.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn values_are_alternatives_and_filters_must_all_hold() {
        let tags = BTreeMap::from([("Name".to_owned(), "web".to_owned())]);
        let check = |filters: &[ec2::Filter], want: bool| {
            let filters = Filters::read(filters, &["zone", "none"]).unwrap();
            let values = |name| if name == "zone" { vec!["a".to_owned()] } else { Vec::new() };
            assert_eq!(filters.hold(values, &tags), want);
        };
        check(&[], true);
        check(&[filter("zone", &["b", "a"])], true);
        check(&[filter("zone", &["a"]), filter("tag:Name", &["db"])], false);
        check(&[filter("zone", &["a"]), filter("tag:Name", &["w*"])], true);
        check(&[filter("tag-key", &["Name"])], true);
        check(&[filter("tag:name", &["web"])], false);
        check(&[filter("none", &["*"])], false);
    }

    #[test]
    fn unknown_filters_and_too_many_values_are_refused() {
        let code = |filters: &[ec2::Filter]| Filters::read(filters, &["zone"]).err().unwrap();
        assert_eq!(code(&[filter("zome", &["a"])]).message, "The filter 'zome' is invalid");
        assert_eq!(code(&[filter("zone", &[])]).code, "InvalidParameterValue");
        assert_eq!(code(&[filter("zone", &["a"; 201])]).code, "FilterLimitExceeded");
        assert_eq!(code(&[filter("zone", &[&"a".repeat(257)])]).code, "InvalidParameterValue");
    }
}
