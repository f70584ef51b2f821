//! Answers and errors as HTTP responses.
//!
//! Decides nothing. Next: [`crate::xml`] for the documents.

use crate::dispatch::Action;
use crate::error::{Dialect, Error};
use crate::http::Response;
use crate::xml;

const XML: &str = "text/xml;charset=UTF-8";

/// The answer to an `A`: status 200 and a document, never empty. `version` is [`crate::Decoded::version`].
pub fn render<A: Action>(output: &A::Output, request_id: &str, version: &str) -> Response {
    let dialect = A::API.dialect();
    match xml::answer(A::NAME, output, request_id, dialect, version) {
        Ok(document) => {
            Response { status: 200, content_type: XML, request_id: request_id.to_owned(), body: document.into_bytes() }
        }
        Err(_) => render_error(&Error::internal(dialect), request_id, dialect),
    }
}

/// The answer that tells an error, with the error's own status.
pub fn render_error(error: &Error, request_id: &str, dialect: Dialect) -> Response {
    Response {
        status: error.status,
        content_type: XML,
        request_id: request_id.to_owned(),
        body: xml::error(error, request_id, dialect).into_bytes(),
    }
}
