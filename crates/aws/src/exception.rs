//! How JSON and CBOR name the errors that every API has, where the query protocol has other names for them.
//!
//! Inside, errors bear the query protocol's codes. An API that also has that protocol tells its code in a header besides
//! (`x-amzn-query-error`), so that a client's program compares the same codes whatever its protocol. Source: "Common
//! errors" of both kinds of API, and Smithy's `awsQueryCompatible`.

use crate::dispatch::Api;
use crate::error::{Error, Fault};

/// Code in the query protocol, shape and status in JSON and CBOR.
const EXCEPTIONS: [(&str, &str, u16); 12] = [
    ("AccessDenied", "AccessDeniedException", 400),
    ("ExpiredToken", "ExpiredTokenException", 400),
    ("IncompleteSignature", "IncompleteSignatureException", 400),
    ("InvalidAction", "UnknownOperationException", 400),
    ("InvalidClientTokenId", "UnrecognizedClientException", 400),
    ("MalformedQueryString", "SerializationException", 400),
    ("MissingAction", "UnknownOperationException", 400),
    ("MissingAuthenticationToken", "MissingAuthenticationTokenException", 400),
    ("RequestExpired", "RequestExpiredException", 400),
    ("SignatureDoesNotMatch", "InvalidSignatureException", 400),
    ("Throttling", "ThrottlingException", 400),
    ("ValidationError", "ValidationException", 400),
];

/// CloudWatch's own: code in the query protocol, and shape. Their status is the same.
const CLOUDWATCH: [(&str, &str); 6] = [
    ("InternalServiceError", "InternalServiceFault"),
    ("InvalidFormat", "InvalidFormatFault"),
    ("InvalidParameterCombination", "InvalidParameterCombinationException"),
    ("InvalidParameterValue", "InvalidParameterValueException"),
    ("LimitExceeded", "LimitExceededFault"),
    ("MissingParameter", "MissingRequiredParameterException"),
];

/// The absolute name of an error's shape, as `__type` has it, and its HTTP status.
pub(crate) fn shape(error: &Error, api: Option<Api>) -> (String, u16) {
    match EXCEPTIONS.iter().find(|(code, _, _)| *code == error.code) {
        Some((_, shape, status)) => (format!("com.amazon.coral.service#{shape}"), *status),
        None => {
            let own = CLOUDWATCH.iter().find(|(code, _)| api == Some(Api::Cloudwatch) && *code == error.code);
            let shape = own.map_or(&*error.code, |(_, shape)| shape);
            (format!("{}#{shape}", api.map_or("com.amazon.coral.service", Api::namespace)), error.status)
        }
    }
}

/// The value of `x-amzn-query-error`, for an API whose clients once spoke the query protocol.
pub(crate) fn query_error(error: &Error, api: Option<Api>) -> Option<String> {
    let fault = if error.fault == Fault::Sender { "Sender" } else { "Receiver" };
    api.filter(|api| api.is_query_compatible()).map(|_| format!("{};{fault}", error.code))
}
