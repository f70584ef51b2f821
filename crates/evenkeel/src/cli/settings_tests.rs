//! Which of flag, environment and file wins.

use std::collections::BTreeMap;

use super::*;

struct Case {
    dir: tempfile::TempDir,
    reach: Reach,
    environment: BTreeMap<&'static str, String>,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("endpoint"), "http://127.0.0.1:1\n").unwrap();
        fs::write(dir.path().join("credentials.toml"), "access_key_id = \"F\"\nsecret_access_key = \"f\"\n").unwrap();
        let environment = BTreeMap::from([("EVENKEEL_DATA_DIR", dir.path().to_str().unwrap().to_owned())]);
        Self { dir, reach: Reach::default(), environment }
    }

    fn resolve(&self) -> anyhow::Result<Settings> {
        Settings::resolve(&self.reach, None, &|name| self.environment.get(name).cloned())
    }

    #[track_caller]
    fn check(&self, port: u16, key: &str, secret: &str) {
        let settings = self.resolve().unwrap();
        let credentials = settings.credentials;
        assert_eq!(
            (settings.endpoint.port(), credentials.access_key_id.as_str(), credentials.secret_access_key.as_str()),
            (port, key, secret)
        );
    }
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_files() {
    let mut case = Case::new();
    case.check(1, "F", "f");
    case.environment.insert("AWS_ENDPOINT_URL", "http://127.0.0.1:2".into());
    case.check(2, "F", "f");
    case.environment.insert("AWS_ACCESS_KEY_ID", "E".into());
    case.check(2, "F", "f");
    case.environment.insert("AWS_SECRET_ACCESS_KEY", "e".into());
    case.check(2, "E", "e");
    case.reach.endpoint_url = Some("http://127.0.0.1:3".into());
    case.check(3, "E", "e");
    case.reach.access_key_id = Some("A".into());
    case.reach.secret_access_key = Some("a".into());
    case.check(3, "A", "a");
}

#[test]
fn the_region_is_the_flag_then_the_environment_then_the_default() {
    let mut environment = BTreeMap::new();
    let case = Case::new();
    let reach = Reach { data_dir: Some(case.dir.path().to_owned()), ..Reach::default() };
    let region = |environment: &BTreeMap<&str, &str>, flag| {
        let lookup = |name: &str| environment.get(name).map(|value| (*value).to_owned());
        Settings::resolve(&reach, flag, &lookup).unwrap().region
    };
    assert_eq!(region(&environment, None), "us-east-1");
    environment.insert("AWS_DEFAULT_REGION", "eu-west-1");
    assert_eq!(region(&environment, None), "eu-west-1");
    environment.insert("AWS_REGION", "eu-west-2");
    assert_eq!(region(&environment, None), "eu-west-2");
    assert_eq!(region(&environment, Some("eu-west-3")), "eu-west-3");
}

#[test]
fn the_data_directory_follows_its_own_order() {
    let check = |flag: Option<&str>, set: &[(&str, &str)], expected: Option<&str>| {
        let lookup = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(data_dir(flag.map(Path::new), &lookup), expected.map(PathBuf::from), "{set:?}");
    };
    let all = [("HOME", "/h"), ("XDG_DATA_HOME", "/x"), ("EVENKEEL_DATA_DIR", "/e")];
    check(Some("/f"), &all, Some("/f"));
    check(None, &all, Some("/e"));
    check(None, &all[..2], Some("/x/evenkeel"));
    check(None, &[("HOME", "/h"), ("XDG_DATA_HOME", "relative")], Some("/h/.local/share/evenkeel"));
    check(None, &all[..1], Some("/h/.local/share/evenkeel"));
    check(None, &[], None);
}

#[test]
fn what_is_missing_or_broken_is_named_and_no_secret_is_shown() {
    let case = Case::new();
    fs::write(case.dir.path().join("credentials.toml"), "secret_access_key = \"hush\"\n").unwrap();
    let error = format!("{:#}", case.resolve().unwrap_err());
    assert!(error.contains("credentials.toml") && !error.contains("hush"), "{error}");
    fs::remove_file(case.dir.path().join("credentials.toml")).unwrap();
    let error = format!("{:#}", case.resolve().unwrap_err());
    assert!(error.contains("there is no") && error.contains("credentials.toml"), "{error}");
    fs::write(case.dir.path().join("endpoint"), "nonsense").unwrap();
    assert!(format!("{:#}", case.resolve().unwrap_err()).contains("nonsense"));
}
