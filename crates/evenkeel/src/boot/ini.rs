//! The configuration format of boto: sections of keys and values, as Python's `ConfigParser` reads them.
//!
//! Owns reading, merging and writing it. Must never lose a value that it does not know: what users write for their own
//! code passes through as it is. Next: [`super::userdata`] for where it comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thiserror::Error;

/// The section whose keys all others have as well.
const DEFAULT: &str = "DEFAULT";
/// How deep `%(name)s` may lead to another; as Python.
const DEPTH: usize = 10;
/// The longest that one value may become, in bytes: references to references must not multiply.
const LONGEST: usize = 64 * 1024;

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadIni {
    /// A key before any section.
    #[error("line {0}: a key before the first `[section]`")]
    NoSection(usize),
    /// Neither a section, nor a key, nor a comment.
    #[error("line {0}: neither `[section]` nor `key = value`")]
    Line(usize),
}

/// Sections by name, keys by name in lower case; values as written, before `%` is filled in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ini {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl std::fmt::Debug for Ini {
    /// Values may be secrets: only their names show.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.sections.iter().map(|(name, keys)| (name, keys.keys().collect::<Vec<_>>()));
        f.debug_map().entries(names).finish()
    }
}

impl Ini {
    /// Reads a text. A section that comes twice is one; of a key that comes twice the last value counts.
    ///
    /// # Errors
    /// The line that is none.
    pub fn read(text: &str) -> Result<Self, BadIni> {
        let mut ini = Self::default();
        let (mut section, mut key) = (None::<String>, None::<String>);
        for (number, line) in (1..).zip(text.lines()) {
            let trimmed = line.trim();
            if trimmed.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let is_continued = line.starts_with([' ', '\t']);
            if let (true, Some(section), Some(key)) = (is_continued, &section, &key) {
                if let Some(value) = ini.sections.get_mut(section).and_then(|keys| keys.get_mut(key)) {
                    value.push('\n');
                    value.push_str(uncommented(trimmed));
                }
                continue;
            }
            if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name) {
                ini.sections.entry(name.to_owned()).or_default();
                (section, key) = (Some(name.to_owned()), None);
                continue;
            }
            let Some(at) = trimmed.find(['=', ':']).filter(|at| *at > 0) else { return Err(BadIni::Line(number)) };
            let Some(section) = &section else { return Err(BadIni::NoSection(number)) };
            let name = trimmed[..at].trim().to_lowercase();
            let value = uncommented(trimmed[at + 1..].trim());
            let value = if value == "\"\"" { "" } else { value };
            ini.set(section, &name, value);
            key = Some(name);
        }
        Ok(ini)
    }

    /// Whether a text is meant to be one: its first line that says something is a section.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
        lines.next().is_some_and(|line| line.starts_with('[') && line.contains(']'))
    }

    /// Sets a value as it would be written.
    pub fn set(&mut self, section: &str, key: &str, value: &str) {
        self.sections.entry(section.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
    }

    /// Sets a value that is not there yet.
    pub fn set_default(&mut self, section: &str, key: &str, value: &str) {
        let keys = self.sections.entry(section.to_owned()).or_default();
        keys.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// Takes over everything of another; where both have a key, the other's value counts.
    pub fn merge(&mut self, other: Self) {
        for (section, keys) in other.sections {
            self.sections.entry(section).or_default().extend(keys);
        }
    }

    /// Takes a section out.
    pub fn remove(&mut self, section: &str) {
        self.sections.remove(section);
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// A value with every `%(name)s` and `%%` filled in; as written where that cannot be done, which a password with a `%`
    /// in it wants. Empty counts as absent.
    #[must_use]
    pub fn value(&self, section: &str, key: &str) -> Option<String> {
        let raw = self.raw(section, key)?;
        let value = self.filled(section, raw, DEPTH).unwrap_or_else(|| raw.to_owned());
        Some(value).filter(|value| !value.is_empty())
    }

    /// The words of a value between commas.
    #[must_use]
    pub fn list(&self, section: &str, key: &str) -> Vec<String> {
        let value = self.value(section, key).unwrap_or_default();
        value.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// The names of all sections.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// All values of a section.
    #[must_use]
    pub fn section(&self, section: &str) -> BTreeMap<String, String> {
        let keys = self.sections.get(section).into_iter().flat_map(|keys| keys.keys());
        keys.filter_map(|key| Some((key.clone(), self.value(section, key)?))).collect()
    }

    /// The text of it, each section once, so that strict readers take it too.
    #[must_use]
    pub fn written(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.sections {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "[{section}]");
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {}", value.replace('\n', "\n\t"));
            }
            text.push('\n');
        }
        text
    }

    fn raw(&self, section: &str, key: &str) -> Option<&str> {
        let of = |section: &str| self.sections.get(section).and_then(|keys| keys.get(key)).map(String::as_str);
        of(section).or_else(|| of(DEFAULT))
    }

    fn filled(&self, section: &str, raw: &str, depth: usize) -> Option<String> {
        let mut done = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('%') {
            done.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                done.push('%');
                rest = after;
                continue;
            }
            let (name, after) = rest.strip_prefix('(')?.split_once(")s")?;
            let value = self.raw(section, &name.to_lowercase())?;
            done.push_str(&self.filled(section, value, depth.checked_sub(1)?)?);
            rest = after;
            if done.len() > LONGEST {
                return None;
            }
        }
        done.push_str(rest);
        Some(done)
    }
}

/// A value for [`Ini::set`] that stands for itself: no `%` in it is filled in.
#[must_use]
pub fn literal(value: &str) -> String {
    value.replace('%', "%%")
}

/// What is left of a value before ` ;`, which begins a comment.
fn uncommented(value: &str) -> &str {
    let at = value.match_indices(';').map(|(at, _)| at).find(|at| value[..*at].ends_with([' ', '\t']));
    at.map_or(value, |at| value[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_python_reads_them() {
        let text = "# a comment\n[DEFAULT]\nhome = /srv\n[Pyami]\nScripts: a.B,\n   c.D\n\n[Notification]\nsmtp_pass = 50%off\n\
                    smtp_to = a@x, b@x ; both\nempty = \"\"\n[Web]\ndir = %(home)s/%(name)s\nname = 100%%\n[Pyami]\nworking_dir=/mnt\n";
        let ini = Ini::read(text).unwrap();
        let check = |section: &str, key: &str, want: Option<&str>| {
            assert_eq!(ini.value(section, key).as_deref(), want, "[{section}] {key}");
        };
        check("Pyami", "scripts", Some("a.B,\nc.D"));
        check("Pyami", "working_dir", Some("/mnt"));
        check("Notification", "smtp_pass", Some("50%off"));
        check("Notification", "smtp_to", Some("a@x, b@x"));
        check("Notification", "empty", None);
        check("Notification", "home", Some("/srv"));
        check("Web", "dir", Some("/srv/100%"));
        check("Nowhere", "key", None);
        assert_eq!(ini.list("Pyami", "scripts"), ["a.B", "c.D"]);
        assert_eq!(Ini::read(&ini.written()).unwrap(), ini, "what is written reads back");
        assert!(!format!("{ini:?}").contains("50%off"), "values do not show");
    }

    #[test]
    fn what_is_no_configuration_is_refused_by_its_line() {
        let check = |text: &str, want: Result<(), BadIni>| assert_eq!(Ini::read(text).map(drop), want, "{text:?}");
        check("", Ok(()));
        check("a = b", Err(BadIni::NoSection(1)));
        check("[a]\n\nnothing", Err(BadIni::Line(3)));
        check("[a]\n= b", Err(BadIni::Line(2)));
        assert!(Ini::is_meant("; x\n\n[a]\n") && !Ini::is_meant("a = b") && !Ini::is_meant(""));
    }

    #[test]
    fn references_cannot_multiply_or_turn_in_circles() {
        let mut text = "[a]\nz = %(z)s\nk0 = xxxxxxxxxx\n".to_owned();
        for n in 1..10 {
            let _ = writeln!(text, "k{n} = {}", format!("%(k{})s", n - 1).repeat(10));
        }
        let ini = Ini::read(&text).unwrap();
        assert_eq!(ini.value("a", "z").as_deref(), Some("%(z)s"));
        assert!(ini.value("a", "k9").unwrap().len() <= LONGEST);
    }
}
