//! Options of `evenkeel up` that name the ACME server which requested certificates come from.
//!
//! Owns the flags and that nobody agrees to terms without saying so. What is said to the server: `crate::acme`.

use std::path::PathBuf;

use clap::Args;

use super::failure::hinted;
use crate::acme::Server;
use crate::authorities;

/// The flags of `evenkeel up`.
#[derive(Debug, Clone, Default, Args)]
pub struct AcmeServer {
    /// Directory of the ACME server that requested certificates come from, such as Let's Encrypt's
    /// `https://acme-v02.api.letsencrypt.org/directory` (for trying out: `https://acme-staging-v02.api.letsencrypt.org/directory`);
    /// without one, certificates cannot be requested
    #[arg(long, value_name = "URL", env = "EVENKEEL_ACME_DIRECTORY", value_parser = directory)]
    pub acme_directory: Option<String>,
    /// Agree to that server's terms of service: without this it is not spoken to
    #[arg(long, env = "EVENKEEL_ACME_AGREE_TOS")]
    pub acme_agree_tos: bool,
    /// Whom that server may write to, such as mailto:ops@example.com; may be repeated
    #[arg(long, value_name = "URL", env = "EVENKEEL_ACME_CONTACT", value_delimiter = ',', value_parser = contact)]
    pub acme_contact: Vec<String>,
    /// Authorities that the server is believed by, in PEM, for a private one [default: the system's]
    #[arg(long, value_name = "FILE", env = "EVENKEEL_ACME_ROOT")]
    pub acme_root: Option<PathBuf>,
}

impl AcmeServer {
    /// The server, if one is named.
    ///
    /// # Errors
    /// Terms that were not agreed to, and a file of authorities that has none.
    pub fn server(&self) -> anyhow::Result<Option<Server>> {
        let Some(directory) = &self.acme_directory else { return Ok(None) };
        if !self.acme_agree_tos {
            return Err(hinted(
                format!("failed to use the ACME server {directory}: its terms of service are not agreed to"),
                "read them, and give `--acme-agree-tos`",
            ));
        }
        if let Some(path) = &self.acme_root {
            authorities::of_file(path)
                .map_err(|error| anyhow::anyhow!("failed to read the authorities of `--acme-root`: {error}"))?;
        }
        Ok(Some(Server {
            directory: directory.clone(),
            contact: self.acme_contact.clone(),
            roots: self.acme_root.clone(),
        }))
    }
}

fn directory(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().ok();
    let good = uri.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some_and(|h| !h.is_empty()));
    if good {
        Ok(text.to_owned())
    } else {
        Err("it must be an https URL, such as https://acme.example.com/directory".into())
    }
}

fn contact(text: &str) -> Result<String, String> {
    let good = text.strip_prefix("mailto:").is_some_and(|address| address.contains('@'));
    let good = good && text.bytes().all(|b| b.is_ascii_graphic());
    if good { Ok(text.to_owned()) } else { Err("it must be a URL such as mailto:ops@example.com".into()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Up {
        #[command(flatten)]
        acme: AcmeServer,
    }

    #[test]
    fn terms_are_agreed_to_in_so_many_words() {
        let up = |arguments: &[&str]| Up::try_parse_from([&["up"], arguments].concat()).map(|up| up.acme.server());
        assert!(up(&[]).unwrap().unwrap().is_none());
        let alone = up(&["--acme-directory", "https://a.test/dir"]).unwrap().unwrap_err().to_string();
        assert!(alone.contains("terms of service are not agreed to"), "{alone}");
        let named = ["--acme-directory", "https://a.test/dir", "--acme-agree-tos"];
        let contact = ["--acme-contact", "mailto:a@a.test", "--acme-contact", "mailto:b@a.test"];
        let server = up(&[&named[..], &contact[..]].concat()).unwrap().unwrap().unwrap();
        assert_eq!((server.directory.as_str(), server.contact.len()), ("https://a.test/dir", 2));
        let root = [&named[..], &["--acme-root", "/nowhere.pem"]].concat();
        assert!(up(&root).unwrap().unwrap_err().to_string().contains("/nowhere.pem"));
        for bad in [["--acme-directory", "http://a.test/"], ["--acme-directory", "a.test"], ["--acme-contact", "me"]] {
            assert!(up(&[&bad[..], &["--acme-agree-tos"]].concat()).is_err(), "{bad:?}");
        }
    }
}
