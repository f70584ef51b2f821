//! A mail server for tests: real, with TLS and login, run by the clients' Python (`tests/clients/smtp_server.py`).

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, KeyPair};

use crate::clients;

/// One mail as the server was handed it.
#[derive(Debug, serde::Deserialize)]
pub struct Mail {
    /// Who it is from.
    pub from: String,
    /// Every recipient.
    pub to: Vec<String>,
    /// Head and body.
    pub text: String,
    /// Who had logged in.
    pub login: String,
    /// Whether over an encrypted connection.
    pub tls: bool,
}

/// A running server; ends with this.
pub struct Smtp {
    server: Child,
    /// Not a Rig's folder: whoever names that in its command line is taken for a leftover of the Rig's.
    folder: tempfile::TempDir,
    /// Where it listens, on 127.0.0.1 under the name `localhost`.
    pub port: u16,
}

impl Smtp {
    /// Starts one. `mode`: `starttls`, `implicit` or `plain`.
    pub fn start(mode: &str) -> Self {
        let kept = tempfile::Builder::new().prefix("mail-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = kept.path();
        let key = KeyPair::generate().unwrap();
        let body = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(folder.join("ca.pem"), body.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let mut command = Command::new(clients::python());
        command.args(["-W", "ignore"]).arg(clients::clients().join("smtp_server.py")).arg(folder).arg(mode);
        if mode != "plain" {
            command.args([folder.join("ca.pem"), folder.join("key.pem")]);
        }
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the mail server did not start: {line:?}"));
        Self { server, folder: kept, port }
    }

    /// The file of the authority that speaks for it.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Boto's section that has mail go there.
    pub fn notification(&self, tls: &str, to: &str) -> String {
        format!(
            "[Notification]\nsmtp_host = localhost\nsmtp_port = {}\nsmtp_tls = {tls}\nsmtp_user = evenkeel\nsmtp_pass = hush-hush\n\
             smtp_from = ops@evenkeel.test\nsmtp_to = {to}\nsmtp_ca_file = {}\n",
            self.port,
            self.authority().display()
        )
    }

    /// Every mail so far.
    pub fn mails(&self) -> Vec<Mail> {
        let read = |n: u32| std::fs::read_to_string(self.folder.path().join(format!("{n}.json"))).ok();
        (0..).map_while(read).map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    /// Refuses every mail with this reply from now on; takes them again without one.
    pub fn refuse(&self, reply: Option<&str>) {
        let path = self.folder.path().join("refuse");
        match reply {
            Some(reply) => std::fs::write(path, reply).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
    }

    /// How many were refused.
    pub fn refused(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("refused")).unwrap_or_default().lines().count()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
