//! Answers and errors as HTTP responses, in the form that the caller speaks.
//!
//! Decides nothing. Next: [`crate::xml`] and [`crate::document`] for what is in them.

use crate::dispatch::{Action, Api};
use crate::document::Document;
use crate::error::Error;
use crate::exception;
use crate::form::{Form, SMITHY_PROTOCOL};
use crate::http::Response;
use crate::xml;

const XML: &str = "text/xml;charset=UTF-8";
const CBOR: &str = "application/cbor";

/// The answer to an `A`: status 200 and a document, never empty. `form` and `version` are those of [`crate::Decoded`].
pub fn render<A: Action>(output: &A::Output, request_id: &str, form: impl Into<Form>, version: &str) -> Response {
    let form = form.into();
    let body = match form {
        Form::Xml(dialect) => {
            xml::answer(A::NAME, output, request_id, dialect, version).ok().map(|document| (XML, document.into_bytes()))
        }
        Form::Json { version, .. } => {
            Document::of(output).ok().map(|document| (version.content_type(), document.to_json()))
        }
        Form::Cbor { .. } => Document::of(output).ok().map(|document| (CBOR, document.to_cbor())),
    };
    match body {
        Some((content_type, body)) => {
            Response { status: 200, content_type, headers: headers(form), request_id: request_id.to_owned(), body }
        }
        None => render_error(&Error::internal(form.dialect()), request_id, form),
    }
}

/// The answer that tells an error, with the status that it has in this form.
pub fn render_error(error: &Error, request_id: &str, form: impl Into<Form>) -> Response {
    let form = form.into();
    let request_id = request_id.to_owned();
    let told = |api: Option<Api>| {
        let (shape, status) = exception::shape(error, api);
        let mut headers = headers(form);
        headers.extend(exception::query_error(error, api).map(|value| ("x-amzn-query-error", value)));
        let text = |text: &str| Document::Text(text.to_owned());
        let fields = [("__type", text(&shape)), ("message", text(&error.message))];
        let document = Document::Map(fields.map(|(name, value)| (name.into(), value)).into());
        (document, status, headers)
    };
    match form {
        Form::Xml(dialect) => {
            let body = xml::error(error, &request_id, dialect).into_bytes();
            Response { status: error.status, content_type: XML, headers: Vec::new(), request_id, body }
        }
        Form::Json { version, api } => {
            let (document, status, headers) = told(api);
            let body = document.to_json();
            Response { status, content_type: version.content_type(), headers, request_id, body }
        }
        Form::Cbor { api } => {
            let (document, status, headers) = told(api);
            Response { status, content_type: CBOR, headers, request_id, body: document.to_cbor() }
        }
    }
}

fn headers(form: Form) -> Vec<(&'static str, String)> {
    match form {
        Form::Cbor { .. } => vec![(SMITHY_PROTOCOL.0, SMITHY_PROTOCOL.1.to_owned())],
        Form::Xml(_) | Form::Json { .. } => Vec::new(),
    }
}
