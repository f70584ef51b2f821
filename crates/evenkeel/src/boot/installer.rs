//! Installers: what one line of a boot's queue means.
//!
//! Owns the syntax, which is the same in an image's `installers` and in `[Pyami] scripts`. Must never do anything: that is
//! [`super::run`]'s.
//!
//! ```text
//! [timeout=90s] [retries=2] WHAT
//! ```
//!
//! WHAT is one of the built-in ones below, a program (a word with a `/`, or the name of a file in the image), or a Python
//! class (`package.module.Class`), which is made without arguments and whose `main()` is called.

use std::time::Duration;

use evenkeel_core::scaling::Recurrence;
use thiserror::Error;

/// How long an installer may take where it does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest that one may ask for: a day.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The most retries that one may ask for.
const MOST_RETRIES: u32 = 100;
/// How often a fetch is tried again where it does not say.
const FETCH_RETRIES: u32 = 3;

/// Why a line is no installer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadInstaller {
    /// Quotes without their ends.
    #[error("installer `{0}` has a quote without its end")]
    Quote(String),
    /// Nothing to do.
    #[error("installer `{0}` says nothing to do")]
    Empty(String),
    /// An option outside its limits.
    #[error("installer `{line}`: `{option}` must be {limits}")]
    Option {
        /// The line.
        line: String,
        /// The option as written.
        option: String,
        /// What it may be.
        limits: &'static str,
    },
    /// A built-in one that is not written as it must be.
    #[error("installer `{0}` must be written `{1}`")]
    Usage(String, &'static str),
    /// None of the kinds.
    #[error("installer `{0}` is neither built in, nor a program in the image, nor a Python class like `module.Class`")]
    Unknown(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
    /// A Python class, made and told `main()`.
    Python {
        /// Its module.
        module: String,
        /// Its name.
        class: String,
    },
    /// A file from a URL.
    Fetch {
        /// `http://` or `https://`.
        url: String,
        /// What its SHA-256 must be, in lower-case hex.
        sha256: Option<String>,
        /// Where it goes in the image.
        to: String,
        /// Its permissions.
        mode: u32,
    },
    /// A tar or a gzipped tar in the image, unpacked.
    Unpack {
        /// The archive.
        archive: String,
        /// The folder it goes to.
        into: String,
        /// How many leading folders are dropped.
        strip: usize,
    },
    /// Variables for everything after, and the application.
    Env(Vec<(String, String)>),
    /// A user, in an instance that has users of its own.
    User {
        /// Its name.
        name: String,
        /// Its number, where it is stated.
        uid: Option<u32>,
    },
    /// A command that is run again and again.
    Cron {
        /// What it is known by.
        name: String,
        /// When.
        schedule: Recurrence,
        /// A program and its arguments.
        command: Vec<String>,
    },
    /// Something to wait for.
    Wait(Awaited),
    /// A file to be written; only a cloud-config says so.
    Write(super::cloud::File),
    /// The script that user data brought, by its number.
    Script(usize),
    /// Packages of the operating system; only a cloud-config says so.
    Packages(Vec<String>),
    /// A package of Python's; only `[Pyami] packages` says so.
    PythonPackage(String),
}

/// What a boot can wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A TCP port that takes connections.
    Port(String),
    /// A URL that answers with a status from 200 to 299.
    Url(String),
    /// A file in the image.
    File(String),
}

/// One entry of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installer {
    /// For people.
    pub name: String,
    /// What is to be done.
    pub what: What,
    /// How long each try may take.
    pub timeout: Duration,
    /// How often it is tried again.
    pub retries: u32,
    /// Done in an instance's first boot only.
    pub once: bool,
}

impl Installer {
    /// One without options.
    #[must_use]
    pub fn new(name: &str, what: What) -> Self {
        Self { name: name.to_owned(), what, timeout: DEFAULT_TIMEOUT, retries: 0, once: false }
    }

    /// Reads a line; `None` for the registration, which is always last whether or not it is named. `in_image` says whether
    /// there is such a file in the image.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &str, in_image: impl Fn(&str) -> bool) -> Result<Option<Self>, BadInstaller> {
        let (options, rest) = options(line)?;
        let words = shell_words::split(rest).map_err(|_| BadInstaller::Quote(line.to_owned()))?;
        let Some((first, args)) = words.split_first() else { return Err(BadInstaller::Empty(line.to_owned())) };
        let what = match first.as_str() {
            "ELBRegister" | "elb-register" if args.is_empty() => return Ok(None),
            "sh" if !args.is_empty() => What::Shell(rest.trim_start()["sh".len()..].trim().to_owned()),
            "fetch" => fetch(line, args)?,
            "unpack" => unpack(line, args)?,
            "env" => env(line, args)?,
            "user" => user(line, args)?,
            "cron" => cron(line, args)?,
            "wait-for" => wait(line, args)?,
            program if program.contains('/') || in_image(program) => What::Program(words.clone()),
            name => match python(name).filter(|_| args.is_empty()) {
                Some((module, class)) => What::Python { module, class },
                None => return Err(BadInstaller::Unknown(line.to_owned())),
            },
        };
        let usual = if matches!(what, What::Fetch { .. }) { FETCH_RETRIES } else { 0 };
        let name = match &what {
            // Their values may be secrets, and names stand on the console and in mails.
            What::Env(pairs) => pairs.iter().fold("env".to_owned(), |name, (key, _)| format!("{name} {key}")),
            What::Fetch { url, .. } => format!("fetch {}", plain(url)),
            _ => rest.trim().to_owned(),
        };
        let (timeout, retries) = (options.timeout.unwrap_or(DEFAULT_TIMEOUT), options.retries.unwrap_or(usual));
        Ok(Some(Self { name, what, timeout, retries, once: false }))
    }
}

#[derive(Default)]
struct Options {
    timeout: Option<Duration>,
    retries: Option<u32>,
}

/// The options before an installer, and what follows them.
fn options(line: &str) -> Result<(Options, &str), BadInstaller> {
    let mut options = Options::default();
    let mut rest = line.trim();
    loop {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let bad = |limits| BadInstaller::Option { line: line.to_owned(), option: word.to_owned(), limits };
        if let Some(value) = word.strip_prefix("timeout=") {
            let span = duration(value).filter(|span| (Duration::from_secs(1)..=LONGEST).contains(span));
            options.timeout = Some(span.ok_or_else(|| bad("1s to 24h, like 90s, 5m or 1h"))?);
        } else if let Some(value) = word.strip_prefix("retries=") {
            let count = value.parse().ok().filter(|count| *count <= MOST_RETRIES);
            options.retries = Some(count.ok_or_else(|| bad("0 to 100"))?);
        } else {
            return Ok((options, rest));
        }
        rest = after.trim_start();
    }
}

/// A URL without the password that it may carry.
#[must_use]
pub fn plain(url: &str) -> String {
    match url.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
        Some((scheme, Some((user, host)))) if !user.contains('/') => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (digits, factor) = match text.strip_suffix('s') {
        Some(digits) => (digits, 1),
        None => match (text.strip_suffix('m'), text.strip_suffix('h')) {
            (Some(digits), _) => (digits, 60),
            (_, Some(digits)) => (digits, 3600),
            _ => (text, 1),
        },
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).map(Duration::from_secs)
}

fn fetch(line: &str, args: &[String]) -> Result<What, BadInstaller> {
    let usage = || BadInstaller::Usage(line.to_owned(), "fetch URL [sha256=HEX] [to=PATH] [mode=0644]");
    let (url, rest) = args.split_first().ok_or_else(usage)?;
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(usage());
    }
    let last = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let (mut sha256, mut to, mut mode) = (None, last.to_owned(), 0o644);
    for arg in rest {
        match arg.split_once('=') {
            Some(("sha256", hex)) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                sha256 = Some(hex.to_ascii_lowercase());
            }
            Some(("to", path)) => to = path.to_owned(),
            Some(("mode", digits)) => {
                mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(usage)?;
            }
            _ => return Err(usage()),
        }
    }
    let to = Some(to).filter(|to| !to.is_empty() && !to.ends_with('/')).ok_or_else(usage)?;
    Ok(What::Fetch { url: url.clone(), sha256, to, mode })
}

fn unpack(line: &str, args: &[String]) -> Result<What, BadInstaller> {
    let usage = || BadInstaller::Usage(line.to_owned(), "unpack ARCHIVE [into=DIR] [strip=N]");
    let (archive, rest) = args.split_first().ok_or_else(usage)?;
    let (mut into, mut strip) = (".".to_owned(), 0);
    for arg in rest {
        match arg.split_once('=') {
            Some(("into", dir)) if !dir.is_empty() => into = dir.to_owned(),
            Some(("strip", count)) => strip = count.parse().ok().filter(|n| *n <= 16).ok_or_else(usage)?,
            _ => return Err(usage()),
        }
    }
    Ok(What::Unpack { archive: archive.clone(), into, strip })
}

fn env(line: &str, args: &[String]) -> Result<What, BadInstaller> {
    let usage = || BadInstaller::Usage(line.to_owned(), "env NAME=VALUE [NAME=VALUE…]");
    let pair = |arg: &String| {
        let (name, value) = arg.split_once('=').filter(|(name, _)| is_variable(name)).ok_or_else(usage)?;
        Ok((name.to_owned(), value.to_owned()))
    };
    if args.is_empty() { Err(usage()) } else { args.iter().map(pair).collect::<Result<_, _>>().map(What::Env) }
}

fn cron(line: &str, args: &[String]) -> Result<What, BadInstaller> {
    let usage =
        || BadInstaller::Usage(line.to_owned(), "cron [name=NAME] 'MINUTE HOUR DAY MONTH WEEKDAY' PROGRAM [ARG…]");
    let (name, rest) = match args.split_first() {
        Some((first, rest)) if first.starts_with("name=") && first.len() > "name=".len() => (Some(&first[5..]), rest),
        _ => (None, args),
    };
    let (schedule, command) = rest.split_first().filter(|(_, command)| !command.is_empty()).ok_or_else(usage)?;
    let schedule = Recurrence::new(schedule).map_err(|_| usage())?;
    let name = name.map_or_else(|| command.join(" "), str::to_owned);
    Ok(What::Cron { name, schedule, command: command.to_vec() })
}

fn user(line: &str, args: &[String]) -> Result<What, BadInstaller> {
    let usage = || BadInstaller::Usage(line.to_owned(), "user NAME [uid=N]");
    let (name, rest) = args.split_first().ok_or_else(usage)?;
    // What useradd(8) takes.
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if !first || name.len() > 32 || !name.chars().all(good) {
        return Err(usage());
    }
    let uid = match rest {
        [] => None,
        [stated] => Some(stated.strip_prefix("uid=").and_then(|n| n.parse().ok()).ok_or_else(usage)?),
        _ => return Err(usage()),
    };
    Ok(What::User { name: name.clone(), uid })
}

/// Whether a process can carry a variable of this name, and it is not one of Evenkeel's own.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !evenkeel_core::noun::image::RESERVED_ENV.contains(&name)
}

fn wait(line: &str, args: &[String]) -> Result<What, BadInstaller> {
    let usage = "wait-for tcp:HOST:PORT | http://… | https://… | file:PATH";
    let [place] = args else { return Err(BadInstaller::Usage(line.to_owned(), usage)) };
    Ok(What::Wait(match (place.strip_prefix("tcp:"), place.strip_prefix("file:")) {
        (Some(port), _) if port.rsplit_once(':').is_some_and(|(_, n)| n.parse::<u16>().is_ok()) => {
            Awaited::Port(port.to_owned())
        }
        (_, Some(path)) if !path.is_empty() => Awaited::File(path.to_owned()),
        _ if place.starts_with("http://") || place.starts_with("https://") => Awaited::Url(place.clone()),
        _ => return Err(BadInstaller::Usage(line.to_owned(), usage)),
    }))
}

/// `package.module.Class` apart, when every part is a Python name.
fn python(name: &str) -> Option<(String, String)> {
    let (module, class) = name.rsplit_once('.')?;
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    name.split('.').all(is_name).then(|| (module.to_owned(), class.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Installer>, BadInstaller> {
        Installer::read(line, |name| name == "setup.sh")
    }

    #[test]
    fn every_kind_is_read() {
        let check = |line: &str, want: What| assert_eq!(read(line).unwrap().unwrap().what, want, "{line}");
        check("sh echo 'a  b' | cat", What::Shell("echo 'a  b' | cat".into()));
        check("./setup --fast 'a b'", What::Program(vec!["./setup".into(), "--fast".into(), "a b".into()]));
        check("setup.sh", What::Program(vec!["setup.sh".into()]));
        check("/bin/true", What::Program(vec!["/bin/true".into()]));
        check("my.mod.Class", What::Python { module: "my.mod".into(), class: "Class".into() });
        let url = "https://x/a/app.tar.gz?v=1".to_owned();
        check(&format!("fetch {url}"), What::Fetch { url, sha256: None, to: "app.tar.gz".into(), mode: 0o644 });
        check(
            &format!("fetch http://x/ sha256={} to=a/b mode=0755", "AB".repeat(32)),
            What::Fetch { url: "http://x/".into(), sha256: Some("ab".repeat(32)), to: "a/b".into(), mode: 0o755 },
        );
        check("unpack a.tar into=app strip=1", What::Unpack { archive: "a.tar".into(), into: "app".into(), strip: 1 });
        check("env A=1 'B=two words'", What::Env(vec![("A".into(), "1".into()), ("B".into(), "two words".into())]));
        check("wait-for tcp:[::1]:80", What::Wait(Awaited::Port("[::1]:80".into())));
        let schedule = Recurrence::new("*/5 1-3 * * mon").unwrap();
        let command = vec!["./tidy".to_owned(), "a b".to_owned()];
        let cron = |name: &str| What::Cron { name: name.into(), schedule: schedule.clone(), command: command.clone() };
        check("cron '*/5 1-3 * * mon' ./tidy 'a b'", cron("./tidy a b"));
        check("cron name=tidy '*/5 1-3 * * mon' ./tidy 'a b'", cron("tidy"));
        check("user web", What::User { name: "web".into(), uid: None });
        check("user web uid=7", What::User { name: "web".into(), uid: Some(7) });
        check("wait-for file:a/b", What::Wait(Awaited::File("a/b".into())));
        let named = |line: &str| read(line).unwrap().unwrap().name;
        assert_eq!(named("env DB_PASS=hush A=b"), "env DB_PASS A");
        assert_eq!(named("fetch https://me:hush@x/y to=z"), "fetch https://x/y");
        assert_eq!(read("ELBRegister"), Ok(None));
        let slow = read("timeout=5m retries=2 sh make").unwrap().unwrap();
        assert_eq!((slow.timeout, slow.retries, slow.name.as_str()), (Duration::from_secs(300), 2, "sh make"));
        assert_eq!(read("fetch http://x/y").unwrap().unwrap().retries, FETCH_RETRIES);
    }

    #[test]
    fn a_user_is_named_as_users_are() {
        for bad in ["user", "user Web", "user -w", "user a:b", "user web uid=x", "user web 7", "user web uid=1 uid=2"] {
            assert!(matches!(read(bad), Err(BadInstaller::Usage(_, "user NAME [uid=N]"))), "{bad}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_way_to_write_it() {
        let check = |line: &str, part: &str| {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        };
        check("", "nothing to do");
        check("timeout=5m", "nothing to do");
        check("timeout=0 sh ls", "1s to 24h");
        check("retries=many sh ls", "0 to 100");
        check("nonsense", "neither built in");
        check("my.mod.Class with arguments", "neither built in");
        check("./a 'b", "quote");
        check("fetch ftp://x/y", "fetch URL");
        check("fetch http://x/y sha256=12", "fetch URL");
        check("fetch http://x/", "fetch URL");
        check("unpack", "unpack ARCHIVE");
        check("env A", "env NAME=VALUE");
        check("env HOST=x", "env NAME=VALUE");
        check("cron '* * * * *'", "cron [name=NAME]");
        check("cron * * * * * ls", "cron [name=NAME]");
        check("wait-for", "wait-for tcp");
        check("wait-for tcp:x", "wait-for tcp");
    }
}
