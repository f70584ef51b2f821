//! The sample application: what the demo and the tests run as an instance. Owns a small, correct HTTP/1.1 server on
//! `$HOST:$PORT` and the faults it can be told to have; must never use anything of Evenkeel but its environment.
//!
//! | path | answers |
//! | --- | --- |
//! | `GET /` | a line of JSON: instance, zone, version |
//! | `GET /health` | 200, or `$HEALTH_STATUS`, after `$HEALTH_DELAY_MS` |
//! | `GET /slow?ms=N` | as `/`, N milliseconds later, at most 60,000 |
//! | `GET /busy?ms=N` | as `/`, after keeping a processor busy for as long |
//! | `POST /echo` | the body, at most 8 MiB |
//! | `GET /env` | a JSON object of its environment |
//!
//! Faults by environment: `IGNORE_TERM=1`, `NEVER_LISTEN=1`, `FORK_CHILD=1` (leaves a grandchild that made itself a
//! daemon), `EXIT_AFTER_MS`, `START_DELAY_MS`, `HEALTH_STATUS`, `HEALTH_DELAY_MS`. Read `serve.rs` for the server.

mod serve;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use evenkeel_core::name::Port;
use evenkeel_core::noun::Manifest;
use evenkeel_core::noun::image::Restart;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::sys::spawn;

/// The port that images of the sample application name: every instance has an address of its own.
pub const PORT: u16 = 8080;

/// Writes an image of the sample application to a folder, which is made if absent: an `image.toml` that runs `exe`.
pub fn write_image(dir: &Path, name: &str, version: &str, exe: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let exe = exe.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path that is not UTF-8"))?;
    let command = vec![exe.replace("${", "$${"), "sample-app".to_owned()];
    let manifest = Manifest {
        version: Some(version.to_owned()),
        description: "Evenkeel's sample application".to_owned(),
        env: BTreeMap::from([("VERSION".to_owned(), version.to_owned())]),
        stop_grace: 5,
        // Whoever ends it wants to see its end.
        restart: Restart::Never,
        ..Manifest::new(name, command, Port::new(PORT).map_err(io::Error::other)?)
    };
    fs::write(dir.join("image.toml"), toml::to_string(&manifest).map_err(io::Error::other)?)
}

/// `evenkeel sample-app`: serves until TERM, then exits with status 0 within a second.
pub fn main(args: &[String]) -> ExitCode {
    match args.first().map(String::as_str) {
        None => {}
        Some("fork") => return fork(),
        Some("linger") => loop {
            std::thread::park();
        },
        Some(_) => {
            eprintln!("usage: HOST=ADDRESS PORT=NUMBER evenkeel sample-app");
            return ExitCode::from(2);
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.and_then(|r| r.block_on(live())) {
        Ok(status) => ExitCode::from(status),
        Err(e) => {
            eprintln!("sample-app: failed to {e}");
            ExitCode::FAILURE
        }
    }
}

async fn live() -> io::Result<u8> {
    let mut term = signal(SignalKind::terminate())?;
    println!("sample-app: version {} starts", text("VERSION").unwrap_or_default());
    if flag("FORK_CHILD") {
        Command::new(std::env::current_exe()?).args(["sample-app", "fork"]).status()?;
    }
    let faults = async {
        match millis("EXIT_AFTER_MS") {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let (close, closing) = watch::channel(false);
    let work = async {
        let mut early = closing.clone();
        let idle = async {
            tokio::time::sleep(millis("START_DELAY_MS").unwrap_or_default()).await;
            if flag("NEVER_LISTEN") {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = idle => serve::serve(closing.clone()).await,
            () = serve::asked(&mut early) => Ok(()),
        }
    };
    tokio::pin!(work);
    let stop = async {
        loop {
            term.recv().await;
            if !flag("IGNORE_TERM") {
                return;
            }
            println!("sample-app: ignores TERM");
        }
    };
    tokio::select! {
        () = faults => Ok(7),
        stopped = &mut work => stopped.map(|()| 0),
        () = stop => {
            // Its other end is held by the work itself.
            let _ = close.send(true);
            work.await.map(|()| 0)
        }
    }
}

/// Leaves a child behind that is nobody's: a session of its own, its parent gone.
fn fork() -> ExitCode {
    let lingering = std::env::current_exe().and_then(|exe| {
        let mut command = Command::new(exe);
        command.args(["sample-app", "linger"]);
        spawn::in_new_session(&mut command);
        command.spawn()
    });
    if lingering.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn flag(name: &str) -> bool {
    text(name).is_some_and(|value| value == "1")
}

fn millis(name: &str) -> Option<Duration> {
    text(name)?.parse().ok().map(Duration::from_millis)
}
