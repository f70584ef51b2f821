//! Framing: a big-endian u32 length, then so many bytes of JSON. Owns the limit; must never trust a length beyond it.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest message: Routes of some 200,000 targets.
pub const LIMIT: usize = 64 << 20;

/// Writes one message.
///
/// # Errors
/// The socket's, or a message beyond [`LIMIT`].
pub fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// Reads one message; `UnexpectedEof` at the end of the stream.
///
/// # Errors
/// The socket's, `InvalidData` for what is no message.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut body = Vec::new();
    let length = checked(length)?;
    from.take(length as u64).read_to_end(&mut body)?;
    decode(&body, length)
}

/// As [`write()`], for the office's tasks.
///
/// # Errors
/// As [`write()`].
pub async fn write_async<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?).await
}

/// As [`read`], for the office's tasks. Not safe to cancel: a task of its own calls it.
///
/// # Errors
/// As [`read`].
pub async fn read_async<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let mut body = Vec::new();
    let length = checked(length)?;
    from.take(length as u64).read_to_end(&mut body).await?;
    decode(&body, length)
}

fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > LIMIT {
        return Err(io::Error::other(format!("a message of {length} bytes is beyond the limit of {LIMIT}")));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

fn checked(length: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(length) as usize;
    if length <= LIMIT { Ok(length) } else { Err(invalid(format!("a message of {length} bytes is announced"))) }
}

fn decode<T: DeserializeOwned>(body: &[u8], length: usize) -> io::Result<T> {
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(body).map_err(|e| invalid(e.to_string()))
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_through_whole_or_not_at_all() {
        let mut bytes = Vec::new();
        write(&mut bytes, &vec!["a", "b"]).unwrap();
        assert_eq!(read::<Vec<String>>(&mut &bytes[..]).unwrap(), ["a", "b"]);
        for cut in 0..bytes.len() {
            let error = read::<Vec<String>>(&mut &bytes[..cut]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut at {cut}");
        }
        let huge = [0xff, 0xff, 0xff, 0xff, b'1'];
        assert_eq!(read::<u8>(&mut &huge[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
