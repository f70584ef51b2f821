//! The built-in installers: fetching, unpacking, writing, waiting.
//!
//! Owns what each does in the instance's files. Must never write outside of them, nor believe a download whose checksum is
//! another. Next: [`super::run`], which calls them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::read::MultiGzDecoder;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::installer::{Awaited, plain};
use super::site::Site;
use crate::enclosures::files::{self, Files as _, Kind, OnNode};

/// The most bytes of a download: 4 GiB.
const MOST_FETCHED: u64 = 4 * 1024 * 1024 * 1024;
/// The most bytes and files that an archive may unpack to.
const MOST_UNPACKED: u64 = 8 * 1024 * 1024 * 1024;
const MOST_FILES: usize = 200_000;
/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Where variables that installers set are kept, for everything after and the application.
pub const ENVIRONMENT: &str = "environment.json";

/// Fetches a file, whole or not at all.
///
/// # Errors
/// Completes "failed to …".
pub fn fetch(site: &Site, url: &str, sha256: Option<&str>, to: &str, mode: u32, limit: Duration) -> Result<(), String> {
    let say = |why: &dyn std::fmt::Display| format!("fetch `{}`: {why}", plain(url));
    let path = site.inside(to)?;
    let response = http(limit).and_then(|http| http.get(url).call().map_err(|e| e.to_string())).map_err(|e| say(&e))?;
    if !response.status().is_success() {
        return Err(say(&format!("the server answers {}", response.status())));
    }
    let beside = site.beside();
    let done = taken_in(response.into_body().into_reader(), &beside, sha256)
        .and_then(|()| site.files.place(&beside, &path, mode));
    if done.is_err() {
        // The error that counts is in hand.
        let _ = fs::remove_file(&beside);
    }
    done.map_err(|why| say(&why))
}

fn taken_in(mut from: impl Read, to: &Path, sha256: Option<&str>) -> Result<(), String> {
    let mut file = File::create(to).map_err(|e| e.to_string())?;
    let mut sum = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0u64;
    loop {
        let n = from.read(&mut buffer).map_err(|e| e.to_string())?;
        if n == 0 {
            break;
        }
        size += n as u64;
        if size > MOST_FETCHED {
            return Err(format!("it is larger than {MOST_FETCHED} bytes"));
        }
        sum.update(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(|e| e.to_string())?;
    }
    let found: String = sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    match sha256 {
        Some(wanted) if wanted != found => Err(format!("its SHA-256 is {found}, not {wanted}")),
        _ => file.sync_all().map_err(|e| e.to_string()),
    }
}

/// A client that believes whom the system believes.
fn http(limit: Duration) -> Result<ureq::Agent, String> {
    let roots = crate::authorities::certificates_of_the_system();
    let mut tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    // Without authorities only plain HTTP can be spoken; a TLS server is then believed by nobody.
    let roots: Vec<Certificate<'static>> =
        roots.unwrap_or_default().iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .timeout_connect(Some(CONNECT))
        .http_status_as_error(false)
        .max_redirects(5)
        .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
        .build();
    Ok(config.new_agent())
}

/// Unpacks a tar, gzipped or not; nothing of it may lead out of the folder.
///
/// # Errors
/// Completes "failed to …".
pub fn unpack(site: &Site, archive: &str, into: &str, strip: usize) -> Result<(), String> {
    let say = |why: &dyn std::fmt::Display| format!("unpack `{archive}`: {why}");
    let (from, to) = (site.inside(archive)?, site.inside(into)?);
    let mut file = site.files.open(&from)?;
    let mut magic = [0; 2];
    let is_gzip = file.read_exact(&mut magic).is_ok() && magic == *b"\x1f\x8b";
    file.rewind().map_err(|e| say(&e))?;
    let file = BufReader::with_capacity(64 * 1024, file);
    let reader: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let fresh = site.folder.file("unpacking");
    let unpacked = remove(&fresh)
        .and_then(|()| fs::create_dir(&fresh))
        .map_err(|e| e.to_string())
        .and_then(|()| unpack_fresh(reader.take(MOST_UNPACKED), &fresh, strip))
        .and_then(|()| site.files.place_all(&fresh, &to));
    // What is left of it goes with the next one, or with the instance.
    let _ = remove(&fresh);
    unpacked.map_err(|why| say(&why))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Unpacks into a folder that is empty, so that nothing but the archive itself can lead out of it.
fn unpack_fresh(reader: impl Read, fresh: &Path, strip: usize) -> Result<(), String> {
    let mut tar = tar::Archive::new(reader);
    let files = OnNode::new(fresh.to_owned());
    let stripped = |path: &Path| -> PathBuf { path.components().skip(strip).collect() };
    for (count, entry) in tar.entries().map_err(|e| e.to_string())?.enumerate() {
        let mut entry = entry.map_err(|e| e.to_string())?;
        if count >= MOST_FILES {
            return Err(format!("it has more than {MOST_FILES} files"));
        }
        let path = entry.path().map_err(|e| e.to_string())?.into_owned();
        if strip == 0 {
            if !entry.unpack_in(fresh).map_err(|e| e.to_string())? {
                return Err(format!("`{}` leads out of the folder", path.display()));
            }
            continue;
        }
        let name = stripped(&path);
        if name.as_os_str().is_empty() {
            continue;
        }
        let target = files::inside(fresh, &name.to_string_lossy())?;
        files.make_dir(target.parent().unwrap_or(fresh))?;
        if entry.header().entry_type().is_hard_link() {
            // It names an earlier file by its whole path.
            let link = entry.link_name().map_err(|e| e.to_string())?.unwrap_or_default();
            let source = files::inside(fresh, &stripped(&link).to_string_lossy())?;
            if files.kind(&source)? != Some(Kind::File) {
                return Err(format!("`{}` is a link to `{}`, which is no file in it", path.display(), link.display()));
            }
            fs::copy(source, target).map_err(|e| e.to_string())?;
            continue;
        }
        entry.unpack(&target).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Writes what a cloud-config says.
///
/// # Errors
/// Completes "failed to …".
pub fn write(site: &Site, file: &super::cloud::File) -> Result<(), String> {
    let path = site.inside(&file.path)?;
    let mut content = Vec::new();
    if file.append && site.files.kind(&path)?.is_some() {
        let read = site.files.open(&path)?.read_to_end(&mut content);
        read.map_err(|error| format!("read `{}`: {error}", path.display()))?;
    }
    content.extend_from_slice(&file.content);
    site.write(&path, &content, file.mode)
}

/// Sets variables for everything after, and the application.
///
/// # Errors
/// Completes "failed to …".
pub fn set_env(site: &Site, pairs: &[(String, String)]) -> Result<(), String> {
    let say = |error: io::Error| format!("keep the variables: {error}");
    let mut env: BTreeMap<String, String> = site.folder.read(ENVIRONMENT).map_err(say)?.unwrap_or_default();
    env.extend(pairs.iter().cloned());
    site.folder.write(ENVIRONMENT, &env, true).map_err(say)
}

/// Waits until it is there.
///
/// # Errors
/// Completes "failed to …": it was not within the limit, and why not.
pub fn wait(site: &Site, what: &Awaited, limit: Duration) -> Result<(), String> {
    let until = Instant::now() + limit;
    let look = || match what {
        Awaited::Port(port) => connects(port, CONNECT.min(limit)),
        Awaited::Url(url) => match http(CONNECT.min(limit))?.get(url).call() {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("it answers {}", response.status())),
            Err(error) => Err(error.to_string()),
        },
        Awaited::File(path) => match site.files.kind(&site.inside(path)?)? {
            Some(_) => Ok(()),
            None => Err("it is not there".to_owned()),
        },
    };
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= until => {
                let what = match what {
                    Awaited::Port(text) | Awaited::File(text) => text.clone(),
                    Awaited::Url(url) => plain(url),
                };
                return Err(format!("wait for `{what}` for {} s: {why}", limit.as_secs()));
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Whether a port takes a connection; why not, where it does not.
pub fn connects(port: &str, limit: Duration) -> Result<(), String> {
    let addresses = port.to_socket_addrs().map_err(|e| e.to_string())?;
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// Whether a URL answers with 200; why not, where it does not. No redirect is followed.
pub fn answers_200(url: &str, limit: Duration) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent("ELB-HealthChecker/1.0")
        .build();
    match config.new_agent().get(url).call() {
        Ok(response) if response.status() == 200 => Ok(()),
        Ok(response) => Err(format!("it answers {}", response.status())),
        Err(error) => Err(error.to_string()),
    }
}
