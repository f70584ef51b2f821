//! Where a boot works: the instance's folder, what it was told, and the environment of its commands.
//!
//! Owns the merged configuration, boto's way: what the metadata say in `[Instance]`, over it the user data, and what is
//! usual where neither says. It is written to `etc/boto.cfg` in the instance's files, for its owner's eyes only. Must never
//! let a secret into an error, a log or a command line. Next: [`super::queue`].

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ini::{Ini, literal};
use super::queue::PYAMI;
use super::userdata::UserData;
use crate::agent::launch;
use crate::cli::client::Client;
use crate::cli::http::Endpoint;
use crate::cli::metadata::Place;
use crate::drivers::Isolation;
use crate::drivers::folder::{CONFIG, Folder, Spec};
use crate::enclosures;
use crate::enclosures::files::{self, Files, Kind};

/// The section of what is known of the instance.
const INSTANCE: &str = "Instance";
/// How long the metadata are waited for: a daemon that is being replaced answers again within that.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Where a boot works.
pub struct Site {
    /// The instance's folder.
    pub folder: Folder,
    /// What it is to run.
    pub spec: Spec,
    /// Its files, as its own commands see them.
    pub files: Box<dyn Files>,
    /// What its user data say.
    pub data: UserData,
    /// The merged configuration.
    pub config: Ini,
}

impl Site {
    /// Reads what the instance was told.
    ///
    /// # Errors
    /// Completes "failed to …": user data that are malformed.
    pub fn open(folder: Folder, spec: Spec) -> Result<Self, String> {
        let raw = match fs::read(folder.file("user-data")) {
            Ok(raw) => raw,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("read the user data: {error}")),
        };
        let data = UserData::read(&raw).map_err(|bad| bad.to_string())?;
        let files = enclosures::files(&folder, &spec);
        let mut site = Self { config: Ini::default(), folder, spec, files, data };
        site.config = site.usual();
        Ok(site)
    }

    /// Where the instance finds its metadata now.
    fn place(&self) -> Option<Place> {
        let place = self.spec.metadata.as_deref().and_then(Place::read)?;
        // The folder is one of `<data>/instances`.
        Some(match self.folder.path().ancestors().nth(2) {
            Some(data_dir) => place.moved(data_dir),
            None => place,
        })
    }

    /// Where the API is for what runs in the instance: apart from the node it is where the instance was told, and its agent
    /// knows where the daemon is now.
    fn endpoint(&self) -> Option<Endpoint> {
        let place = match self.spec.isolation {
            Isolation::None => self.place(),
            Isolation::Namespaces | Isolation::Docker => self.spec.metadata.as_deref().and_then(Place::read),
        };
        place.map(|place| place.endpoint().clone())
    }

    /// Asks for the metadata and writes the merged configuration. Waits for a daemon that is away.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn configure(&mut self) -> Result<(), String> {
        let values = patiently(PATIENCE, || self.place().map_or_else(|| Ok(BTreeMap::new()), |place| place.values()));
        let values = values.map_err(|error| format!("read the metadata: {error:#}"))?;
        let mut config = Ini::default();
        for (path, value) in values {
            let name = path.trim_end_matches('/').replace('/', "-");
            // The book's own code asks for `instance_id`, boto's for `instance-id`.
            config.set(INSTANCE, &name.replace('-', "_"), &literal(&value));
            config.set(INSTANCE, &name, &literal(&value));
        }
        config.merge(self.usual());
        self.config = config;
        let path = self.inside(CONFIG)?;
        self.write(&path, self.config.written().as_bytes(), 0o600)
    }

    /// The user data over what is usual.
    fn usual(&self) -> Ini {
        let mut config = Ini::default();
        config.set(INSTANCE, "instance-id", self.spec.instance.as_str());
        config.set(INSTANCE, "instance_id", self.spec.instance.as_str());
        let mut told = self.data.config.clone();
        // What an instance is, is not for its user data to say.
        told.remove(INSTANCE);
        config.merge(told);
        config.set_default(PYAMI, "working_dir", &literal(&self.files.root().join("mnt/pyami").to_string_lossy()));
        if let Some(endpoint) = self.endpoint() {
            // Boto 2 then keeps AWS's host names and asks us.
            config.set_default("Boto", "is_secure", "False");
            config.set_default("Boto", "proxy", &literal(endpoint.host()));
            config.set_default("Boto", "proxy_port", &endpoint.port().to_string());
        }
        config
    }

    /// Where boot code works.
    #[must_use]
    pub fn working_dir(&self) -> PathBuf {
        let stated = self.config.value(PYAMI, "working_dir").unwrap_or_default();
        let root = self.files.root();
        // An absolute one of user data that were written for a machine of its own is one in the instance's files.
        if Path::new(&stated).starts_with(root) { stated.into() } else { root.join(stated.trim_start_matches('/')) }
    }

    /// A client that signs with the instance's own keys, if there is a daemon to ask.
    ///
    /// # Errors
    /// A metadata service that does not answer.
    pub fn client(&self) -> anyhow::Result<Client> {
        match self.place() {
            Some(place) => Ok(Client::new(place.settings()?)),
            None => anyhow::bail!("the instance was not told where the daemon is"),
        }
    }

    /// The environment of a boot's commands: the application's, with where boto's configuration is and, unless the
    /// user data bring keys, the instance's own.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut env = launch::environment(&self.folder, &self.spec, self.files.root());
        let mut set = |name: &str, value: &str| drop(env.insert(name.to_owned(), value.to_owned()));
        let root = self.files.root();
        let working_dir = self.working_dir();
        set("BOTO_CONFIG", &root.join(CONFIG).to_string_lossy());
        set("PYTHONPATH", &format!("{}:{}", working_dir.display(), root.display()));
        set("PYTHONUNBUFFERED", "1");
        let brings_keys = self.data.config.value("Credentials", "aws_access_key_id").is_some();
        // A daemon that is away costs a command its keys, not its run.
        if let Some(settings) = self.place().filter(|_| !brings_keys).and_then(|place| place.settings().ok()) {
            let keys = &settings.credentials;
            let token = keys.session_token.as_deref().unwrap_or_default();
            set("AWS_ENDPOINT_URL", &self.endpoint().unwrap_or(settings.endpoint).to_string());
            set("AWS_DEFAULT_REGION", &settings.region);
            set("AWS_ACCESS_KEY_ID", &keys.access_key_id);
            set("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
            set("AWS_SESSION_TOKEN", token);
            set("AWS_SECURITY_TOKEN", token);
        }
        env
    }

    /// A path of the instance's files, from what somebody wrote.
    ///
    /// # Errors
    /// One with `..` in it.
    pub fn inside(&self, path: &str) -> Result<PathBuf, String> {
        files::inside(self.files.root(), path)
    }

    /// Whether the instance has such a file.
    #[must_use]
    pub fn has_file(&self, name: &str) -> bool {
        self.inside(name).and_then(|path| self.files.kind(&path)) == Ok(Some(Kind::File))
    }

    /// Where a file of the instance is made before it is put in its place.
    #[must_use]
    pub fn beside(&self) -> PathBuf {
        self.folder.file("placing")
    }

    /// Writes a file whole, making the folders above it.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
        let beside = self.beside();
        let written = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)
        };
        written().map_err(|error| format!("write `{}`: {error}", path.display()))?;
        self.files.place(&beside, path, mode)
    }
}

/// Tries until it works or its time is over.
pub fn patiently<T>(limit: Duration, mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let until = Instant::now() + limit;
    loop {
        match work() {
            Err(_) if Instant::now() < until => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}
