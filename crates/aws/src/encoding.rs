//! `Content-Encoding`: bodies that arrive compressed.
//!
//! A signature is over the body as sent, so this comes after it is verified. Never inflates past the limit that is given,
//! whatever the body claims. Next: [`crate::decode`].

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use crate::error::Error;
use crate::http::Request;

/// Puts the real body in place of one in gzip; `limit` is the most bytes that it may have, inflated.
///
/// # Errors
/// `MalformedQueryString` for what is no gzip, `UnsupportedMediaType` 415 for another encoding,
/// `RequestEntityTooLarge` 413.
pub fn inflate(request: &mut Request, limit: usize) -> Result<(), Error> {
    let encoding =
        match request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding")).count() {
            0 => return Ok(()),
            1 => request.header("content-encoding").unwrap_or_default(),
            _ => "several",
        };
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(()),
        "gzip" | "x-gzip" => {
            request.body = gunzip(&request.body, limit)?;
            Ok(())
        }
        _ => {
            let encoding: String = encoding.chars().take(64).collect();
            let text = format!("The content encoding '{encoding}' is not supported: only gzip is.");
            Err(Error::sender("UnsupportedMediaType", text).with_status(415))
        }
    }
}

fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(body).take(most).read_to_end(&mut plain) {
        Ok(_) if plain.len() > limit => {
            let text = format!("The request's body is larger than {limit} bytes when it is decompressed.");
            Err(Error::sender("RequestEntityTooLarge", text).with_status(413))
        }
        Ok(_) => Ok(plain),
        Err(_) => Err(Error::sender("MalformedQueryString", "The request's body is not valid gzip.")),
    }
}
