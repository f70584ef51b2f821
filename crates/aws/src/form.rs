//! In which form a request is answered: query XML, EC2's XML, AWS JSON or Smithy RPC v2 CBOR; and which call it names
//! where the protocol says so outside of the body.
//!
//! Decided from head and query alone, so that an error has its form whatever the body is. Next: [`crate::render()`], which
//! writes it; [`crate::exception`], how JSON and CBOR name errors.

use crate::dispatch::Api;
use crate::error::Dialect;
use crate::http::Request;

/// The protocol of one exchange, and whose words its errors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Documents in XML, in a dialect of the query protocol.
    Xml(Dialect),
    /// AWS JSON.
    Json {
        /// 1.0 or 1.1: only the content type differs.
        version: JsonVersion,
        /// `None` where the request names none that is served.
        api: Option<Api>,
    },
    /// Smithy RPC v2 CBOR.
    Cbor {
        /// `None` where the request names none that is served.
        api: Option<Api>,
    },
}

/// The versions of AWS JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonVersion {
    /// `application/x-amz-json-1.0`.
    V1_0,
    /// `application/x-amz-json-1.1`.
    V1_1,
}

impl JsonVersion {
    /// Value of `Content-Type`, in requests and answers.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V1_0 => "application/x-amz-json-1.0",
            Self::V1_1 => "application/x-amz-json-1.1",
        }
    }
}

impl From<Dialect> for Form {
    fn from(dialect: Dialect) -> Self {
        Self::Xml(dialect)
    }
}

impl Form {
    /// In whose words errors are found: JSON and CBOR rename those of the query protocol on the way out.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Xml(dialect) => dialect,
            Self::Json { api, .. } | Self::Cbor { api } => api.unwrap_or(Api::Elb).dialect(),
        }
    }
}

/// A call that is named outside of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named<'r> {
    pub form: Form,
    pub action: &'r str,
}

/// Name and value of the header that RPC v2 CBOR has in requests and answers.
pub(crate) const SMITHY_PROTOCOL: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");

/// The call of a request in AWS JSON or CBOR; `None` for one of the query protocol.
pub(crate) fn named(request: &Request) -> Option<Named<'_>> {
    if request.header(SMITHY_PROTOCOL.0).is_some_and(|value| value.eq_ignore_ascii_case(SMITHY_PROTOCOL.1)) {
        let (path, _) = request.path_and_query();
        let mut parts = path.rsplitn(5, '/');
        let (action, operation, shape, service) = (parts.next(), parts.next(), parts.next(), parts.next());
        let named = (operation == Some("operation") && service == Some("service")).then(|| shape.zip(action));
        let (shape, action) = named.flatten().unwrap_or_default();
        return Some(Named { form: Form::Cbor { api: Api::of_shape(shape) }, action });
    }
    let kind = request.header("content-type")?.split(';').next()?.trim();
    let version = [JsonVersion::V1_0, JsonVersion::V1_1]
        .into_iter()
        .find(|version| kind.eq_ignore_ascii_case(version.content_type()))?;
    let target = request.header("x-amz-target").unwrap_or_default();
    let (shape, action) = target.rsplit_once('.').unwrap_or(("", target));
    Some(Named { form: Form::Json { version, api: Api::of_shape(shape) }, action })
}
