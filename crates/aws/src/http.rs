//! HTTP requests and responses as plain values: what the server hands in after reading bytes, and what the client
//! hands out before any are written.
//!
//! Never opens a socket and never frames a message: those belong to whoever drives this crate. Next: [`crate::sigv4`],
//! which decides who sent a request, and [`crate::dispatch`], which decides what it asks for.

/// A request as it was received, or as it is to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, upper case as sent: `GET` or `POST` for every action.
    pub method: String,
    /// The request target exactly as sent: origin-form (`/?Action=…`) or absolute-form (`http://host/?Action=…`).
    pub target: String,
    /// Header fields in the order sent; names in any case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body, already bounded by the caller.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header called `name` (in any case), if its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok().map(str::trim)
    }

    /// Path and query of the target, without scheme and authority. An empty path is `/`, an absent query is empty.
    pub fn path_and_query(&self) -> (&str, &str) {
        let origin = match self.target.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => {
                rest.find(['/', '?', '#']).map_or("", |start| &rest[start..])
            }
            _ => self.target.as_str(),
        };
        let origin = origin.split_once('#').map_or(origin, |(before, _)| before);
        let (path, query) = origin.split_once('?').unwrap_or((origin, ""));
        (if path.is_empty() { "/" } else { path }, query)
    }
}

/// A response ready to be written. The server adds `Content-Length`, and `x-amzn-RequestId` from `request_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 200 for every success; boto 2 takes anything else for an error.
    pub status: u16,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Further headers that the protocol wants, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The id that also stands in the body.
    pub request_id: String,
    /// Never empty: clients refuse an empty body.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_lose_scheme_and_authority() {
        let check = |target: &str, path: &str, query: &str| {
            let request = Request { target: target.into(), ..Request::default() };
            assert_eq!(request.path_and_query(), (path, query), "{target}");
        };
        check("/", "/", "");
        check("/?Action=A", "/", "Action=A");
        check("", "/", "");
        check("http://ec2.us-east-1.amazonaws.com/?Action=A&B=c", "/", "Action=A&B=c");
        check("http://127.0.0.1:7480", "/", "");
        check("http://127.0.0.1:7480?x=1", "/", "x=1");
        check("/base/path?u=http://x/", "/base/path", "u=http://x/");
        check("/a#b?c", "/a", "");
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let request = Request { headers: vec![("HOST".into(), b" a ".to_vec())], ..Request::default() };
        assert_eq!(request.header("host"), Some("a"));
        assert_eq!(request.header("date"), None);
    }
}
