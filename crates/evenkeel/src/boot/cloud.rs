//! `#cloud-config`: the part of cloud-init's format that makes sense without a machine of one's own.
//!
//! Owns reading it: `write_files`, `runcmd`, `bootcmd`, `packages`, `env` (ours) and nothing else; every other key is named
//! in [`Cloud::ignored`], so that the boot's log can say so. Must never expand more YAML than the reader's own budget.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::Deserialize;
use thiserror::Error;

/// The most commands, packages or files of each kind.
const MOST: usize = 256;

/// Why a cloud-config is none.
#[derive(Debug, Error)]
pub enum BadCloud {
    /// Not the YAML it should be.
    #[error("{0}")]
    Yaml(String),
    /// More than [`MOST`].
    #[error("`{0}` has more than {MOST} entries")]
    TooMany(&'static str),
    /// File contents in an encoding that is not there.
    #[error("`write_files` of `{path}`: {why}")]
    File {
        /// Which.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where, within the instance.
    pub path: String,
    /// What.
    pub content: Vec<u8>,
    /// Its permissions; 0644 where nothing is said.
    pub mode: u32,
    /// Whether it is added to what is there.
    pub append: bool,
}

/// A command: a line for the shell, or words as they are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// For `sh -c`.
    Line(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

/// What a cloud-config says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cloud {
    /// Variables for the application and everything after.
    pub env: BTreeMap<String, String>,
    /// Files to be written, in order.
    pub files: Vec<File>,
    /// Packages to be installed.
    pub packages: Vec<String>,
    /// Commands, `bootcmd` before `runcmd`, in order.
    pub commands: Vec<Command>,
    /// Keys that are not followed.
    pub ignored: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    write_files: Vec<WriteFile>,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    bootcmd: Vec<Command>,
    #[serde(default)]
    runcmd: Vec<Command>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct WriteFile {
    path: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    permissions: Option<Mode>,
    #[serde(default)]
    append: bool,
}

/// `'0644'`, or 0644, which YAML 1.2 reads as a decimal.
#[derive(Deserialize)]
#[serde(untagged)]
enum Mode {
    Text(String),
    Number(u32),
}

impl Cloud {
    /// Reads a document that begins with `#cloud-config`.
    ///
    /// # Errors
    /// Malformed YAML, a key of ours with a value of another shape, or more than the limits.
    pub fn read(text: &str) -> Result<Self, BadCloud> {
        let document: Option<Document> = serde_saphyr::from_str(text).map_err(|error| {
            // The library draws the place in several lines; the first says what is wrong.
            BadCloud::Yaml(error.to_string().lines().next().unwrap_or_default().to_owned())
        })?;
        let Some(document) = document else { return Ok(Self::default()) };
        let counts = [
            ("write_files", document.write_files.len()),
            ("packages", document.packages.len()),
            ("runcmd", document.runcmd.len()),
            ("bootcmd", document.bootcmd.len()),
            ("env", document.env.len()),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count > MOST) {
            return Err(BadCloud::TooMany(name));
        }
        let files = document.write_files.into_iter().map(file).collect::<Result<_, _>>()?;
        Ok(Self {
            env: document.env,
            files,
            packages: document.packages,
            commands: document.bootcmd.into_iter().chain(document.runcmd).collect(),
            ignored: document.rest.into_keys().collect(),
        })
    }
}

fn file(stated: WriteFile) -> Result<File, BadCloud> {
    let bad = |why: &str| BadCloud::File { path: stated.path.clone(), why: why.to_owned() };
    let decoded = |text: &str| {
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        base64::engine::general_purpose::STANDARD.decode(dense).map_err(|_| bad("its content is not base64"))
    };
    let content = match stated.encoding.as_str() {
        "" | "text/plain" => stated.content.clone().into_bytes(),
        "b64" | "base64" => decoded(&stated.content)?,
        _ => return Err(bad("its encoding is neither `b64` nor `text/plain`")),
    };
    let digits = match &stated.permissions {
        None => "0644".to_owned(),
        Some(Mode::Text(text)) => text.clone(),
        Some(Mode::Number(number)) => number.to_string(),
    };
    let mode = u32::from_str_radix(digits.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o777);
    let mode = mode.ok_or_else(|| bad("its permissions are not octal digits like `0644`"))?;
    Ok(File { path: stated.path.clone(), content, mode, append: stated.append })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_followed_is_read_and_the_rest_is_named() {
        let text = "#cloud-config\nhostname: web\nenv: {LEVEL: debug}\npackages: [git]\nwrite_files:\n- path: etc/app.conf\n  content: |\n    a\n    b\n  permissions: '0600'\n\
                    - {path: b, content: aGk=, encoding: b64, append: true, permissions: 755}\nruncmd:\n- echo hi\n- [touch, 'a b']\nbootcmd:\n- first\n";
        let cloud = Cloud::read(text).unwrap();
        assert_eq!(cloud.env["LEVEL"], "debug");
        assert_eq!(cloud.packages, ["git"]);
        let expected = [
            File { path: "etc/app.conf".into(), content: b"a\nb\n".to_vec(), mode: 0o600, append: false },
            File { path: "b".into(), content: b"hi".to_vec(), mode: 0o755, append: true },
        ];
        assert_eq!(cloud.files, expected);
        let words = Command::Words(vec!["touch".into(), "a b".into()]);
        assert_eq!(cloud.commands, [Command::Line("first".into()), Command::Line("echo hi".into()), words]);
        assert_eq!(cloud.ignored, ["hostname"]);
        assert_eq!(Cloud::read("#cloud-config\n").unwrap(), Cloud::default());
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let check = |text: &str, part: &str| {
            let error = Cloud::read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        };
        check("runcmd: 7", "line 1");
        check("a: [", "");
        check("write_files: [{path: a, encoding: gzip}]", "encoding");
        check("write_files: [{path: a, content: '*', encoding: b64}]", "base64");
        check("write_files: [{path: a, permissions: '999'}]", "octal");
        check(&format!("packages: [{}]", "a,".repeat(MOST + 1)), "more than 256");
    }

    #[test]
    fn yaml_that_multiplies_itself_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..10 {
            let before = format!("*a{}", n - 1);
            text += &format!("a{n}: &a{n} [{}]\n", vec![before; 10].join(","));
        }
        assert!(Cloud::read(&text).is_err());
    }
}
