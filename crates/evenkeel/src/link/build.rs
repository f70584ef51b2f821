//! Which build of Evenkeel this is: its version and the hash of its file, so that two builds of one version are told
//! apart. Owns that text; must never be compared for order.

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

use aws_lc_rs::digest::{Context, SHA256};

/// This process's build, such as `0.1.0-5f2c…`: read from the file that runs, even if another one stands in its place now.
/// Reading it takes some ten milliseconds, once a process.
#[must_use]
pub fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let hash = hash().unwrap_or_else(|_| "unknown".into());
        format!("{}-{hash}", env!("CARGO_PKG_VERSION"))
    })
}

fn hash() -> std::io::Result<String> {
    let mut file = File::open("/proc/self/exe")?;
    let mut context = Context::new(&SHA256);
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => break,
            count => context.update(&block[..count]),
        }
    }
    Ok(context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
