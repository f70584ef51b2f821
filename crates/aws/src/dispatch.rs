//! From a request to a typed call: routing by Version and Action or by the service's name, and the tables that name every
//! action served.
//!
//! Checks no signature (that is [`crate::sigv4`]'s, and comes first) and no value beyond its shape. Next: the tables
//! themselves, at the top of [`crate::elb`], [`crate::ec2`] and [`crate::sts`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::Document;
use crate::error::{Dialect, Error};
use crate::form::{self, Form, Named};
use crate::http::Request;
use crate::query::{self, Params, Tree};
use crate::{acm, autoscaling, cloudwatch, ec2, elb, iam, sns, sts};

/// The APIs served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// Certificate Manager.
    Acm,
    /// Auto Scaling.
    AutoScaling,
    /// Elastic Load Balancing, Classic.
    Elb,
    /// EC2.
    Ec2,
    /// Identity and Access Management.
    Iam,
    /// Security Token Service.
    Sts,
    /// Simple Notification Service.
    Sns,
    /// CloudWatch.
    Cloudwatch,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Elb, Self::Ec2, Self::AutoScaling, Self::Cloudwatch, Self::Iam, Self::Acm, Self::Sts, Self::Sns];

    /// The version our own client states. For EC2 any other is answered as well.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Elb => "2012-06-01",
            Self::Ec2 => "2016-11-15",
            Self::Acm => "2015-12-08",
            Self::AutoScaling => "2011-01-01",
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
            Self::Sns => "2010-03-31",
            Self::Cloudwatch => "2010-08-01",
        }
    }

    /// The name in the scope of a signature.
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::Elb => "elasticloadbalancing",
            Self::Ec2 => "ec2",
            Self::Acm => "acm",
            Self::AutoScaling => "autoscaling",
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Sns => "sns",
            Self::Cloudwatch => "monitoring",
        }
    }

    /// How it wraps answers and words errors.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Elb => Dialect::Query { namespace: "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/" },
            Self::AutoScaling => Dialect::Query { namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/" },
            Self::Acm => Dialect::Query { namespace: "https://acm.amazonaws.com/doc/2015-12-08/" },
            Self::Iam => Dialect::Query { namespace: "https://iam.amazonaws.com/doc/2010-05-08/" },
            Self::Sts => Dialect::Query { namespace: "https://sts.amazonaws.com/doc/2011-06-15/" },
            Self::Sns => Dialect::Query { namespace: "http://sns.amazonaws.com/doc/2010-03-31/" },
            Self::Cloudwatch => Dialect::Query { namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/" },
            Self::Ec2 => Dialect::Ec2,
        }
    }

    /// The name of its service in Smithy's model: prefix of `X-Amz-Target`, and in the path of RPC v2 CBOR. EC2 has none:
    /// its structures bear the names of its own protocol.
    pub const fn shape(self) -> Option<&'static str> {
        match self {
            Self::Elb => Some("ElasticLoadBalancing_v7"),
            Self::Acm => Some("CertificateManager"),
            Self::AutoScaling => Some("AutoScaling_2011_01_01"),
            Self::Iam => Some("AWSIdentityManagementV20100508"),
            Self::Sts => Some("AWSSecurityTokenServiceV20110615"),
            Self::Sns => Some("AmazonSimpleNotificationService"),
            Self::Cloudwatch => Some("GraniteServiceVersion20100801"),
            Self::Ec2 => None,
        }
    }

    /// The namespace of its shapes in Smithy's model, where JSON and CBOR name its errors.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Elb => "com.amazonaws.elasticloadbalancing",
            Self::Acm => "com.amazonaws.acm",
            Self::AutoScaling => "com.amazonaws.autoscaling",
            Self::Iam => "com.amazonaws.iam",
            Self::Sts => "com.amazonaws.sts",
            Self::Sns => "com.amazonaws.sns",
            Self::Cloudwatch => "com.amazonaws.cloudwatch",
            Self::Ec2 => "com.amazonaws.ec2",
        }
    }

    /// Whether AWS has it in the query protocol, so that its errors bear that protocol's codes in others as well.
    pub const fn is_query_compatible(self) -> bool {
        match self {
            Self::Elb | Self::Ec2 | Self::AutoScaling | Self::Iam | Self::Sts | Self::Sns | Self::Cloudwatch => true,
            Self::Acm => false,
        }
    }

    pub(crate) fn of_shape(shape: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.shape() == Some(shape))
    }

    /// Names of all its actions, sorted.
    pub const fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Elb => elb::ACTIONS,
            Self::Ec2 => ec2::ACTIONS,
            Self::Acm => acm::ACTIONS,
            Self::AutoScaling => autoscaling::ACTIONS,
            Self::Iam => iam::ACTIONS,
            Self::Sts => sts::ACTIONS,
            Self::Sns => sns::ACTIONS,
            Self::Cloudwatch => cloudwatch::ACTIONS,
        }
    }

    fn serves(self, action: &str) -> bool {
        self.actions().contains(&action)
    }
}

/// One action of one API; implemented by its input.
pub trait Action: Serialize + DeserializeOwned {
    /// Value of the `Action` parameter.
    const NAME: &'static str;
    /// The API it belongs to.
    const API: Api;
    /// What it answers.
    type Output: Serialize + DeserializeOwned;
}

/// Who is shown actions, each with its types.
pub trait EachAction {
    /// One of them.
    fn see<A: Action>(&mut self);
}

/// Shows every action of every API, so that what must hold of all is written once.
pub fn each_action(seer: &mut impl EachAction) {
    elb::each_action(seer);
    ec2::each_action(seer);
    autoscaling::each_action(seer);
    iam::each_action(seer);
    acm::each_action(seer);
    sts::each_action(seer);
    sns::each_action(seer);
    cloudwatch::each_action(seer);
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "made once and moved once per request; a box buys nothing")]
pub enum Call {
    /// A call of Certificate Manager.
    Acm(acm::Call),
    /// A call of Auto Scaling.
    AutoScaling(autoscaling::Call),
    /// A call of Elastic Load Balancing.
    Elb(elb::Call),
    /// A call of EC2.
    Ec2(ec2::Call),
    /// A call of IAM.
    Iam(iam::Call),
    /// A call of STS.
    Sts(sts::Call),
    /// A call of SNS.
    Sns(sns::Call),
    /// A call of CloudWatch.
    Cloudwatch(cloudwatch::Call),
}

impl Call {
    /// Name of the action.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Elb(call) => call.name(),
            Self::Ec2(call) => call.name(),
            Self::Acm(call) => call.name(),
            Self::AutoScaling(call) => call.name(),
            Self::Iam(call) => call.name(),
            Self::Sts(call) => call.name(),
            Self::Sns(call) => call.name(),
            Self::Cloudwatch(call) => call.name(),
        }
    }
}

/// A call, and what is needed to answer it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The call with its input.
    pub call: Call,
    /// The API it belongs to.
    pub api: Api,
    /// How to answer.
    pub form: Form,
    /// The version that the client stated; EC2's answers repeat it. Safe to write into XML.
    pub version: String,
    /// Name of the action.
    pub action: &'static str,
}

/// Why a request is no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejected {
    /// What to answer.
    pub error: Error,
    /// In which form.
    pub form: Form,
}

/// Reads the call out of a request. In the query protocol parameters of the query string and of a form body count alike,
/// the first of a name wins; in every protocol unknown ones are ignored.
///
/// # Errors
/// `InvalidAction`, `MissingAction`, a missing or malformed parameter in the API's own words, `UnsupportedHttpVerb`, or
/// `MalformedQueryString` for what cannot be read or is past [`query::MAX_PARAMS`] or [`crate::document`]'s limits.
pub fn decode(request: &Request) -> Result<Decoded, Rejected> {
    match form::named(request) {
        Some(named) => decode_named(request, named),
        None => decode_query(request),
    }
}

/// AWS JSON and CBOR: the call is named in a header or in the path, the body is its input.
fn decode_named(request: &Request, Named { form, action }: Named<'_>) -> Result<Decoded, Rejected> {
    let reject = |error| Rejected { error, form };
    if request.method != "POST" {
        return Err(reject(unsupported_verb(request)));
    }
    let (Form::Json { api, .. } | Form::Cbor { api }) = form else { return Err(reject(Error::missing_action())) };
    let Some(api) = api.filter(|api| api.serves(action)) else { return Err(reject(Error::invalid_action(action))) };
    let read = |error: query::Error| reject(error.to_wire(form.dialect()));
    let document = match form {
        Form::Json { .. } => Document::from_json(&request.body),
        _ => Document::from_cbor(&request.body),
    };
    let document = document.map_err(read)?;
    let (call, action) = decode_call(api, action, &Input::Document(&document))
        .unwrap_or_else(|| Err(query::Error::missing("Action")))
        .map_err(read)?;
    Ok(Decoded { call, api, form, version: api.version().to_owned(), action })
}

fn decode_query(request: &Request) -> Result<Decoded, Rejected> {
    let (params, malformed) = parameters(request);
    let route = route(request, &params);
    let dialect = route.map_or_else(|| unrouted_dialect(request, &params), Api::dialect);
    let form = Form::Xml(dialect);
    let reject = |error| Rejected { error, form };

    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Err(reject(unsupported_verb(request)));
    }
    let read = |error: query::Error| reject(error.to_wire(dialect));
    if let Some(error) = malformed {
        return Err(read(error));
    }
    let Some(action) = params.first("Action").filter(|action| !action.is_empty()) else {
        return Err(reject(Error::missing_action()));
    };
    let Some(api) = route else { return Err(reject(Error::invalid_action(action))) };
    let tree = params.tree().map_err(read)?;
    let (call, action) = decode_call(api, action, &Input::Parameters(&tree))
        .unwrap_or_else(|| Err(query::Error::missing("Action")))
        .map_err(read)?;
    Ok(Decoded { call, api, form, version: version(api, &params), action })
}

/// The form in which to answer an error about this request, however broken it is.
pub fn form(request: &Request) -> Form {
    if let Some(named) = form::named(request) {
        return named.form;
    }
    let (params, _) = parameters(request);
    route(request, &params).map_or_else(|| unrouted_dialect(request, &params), Api::dialect).into()
}

/// The action that a request names, for logs and audit; unchecked, at most 128 characters.
pub fn action_name(request: &Request) -> Option<String> {
    let short = |action: &str| action.chars().take(128).collect();
    match form::named(request) {
        Some(Named { action, .. }) => (!action.is_empty()).then(|| short(action)),
        None => parameters(request).0.first("Action").map(short),
    }
}

fn unsupported_verb(request: &Request) -> Error {
    let method: String = request.method.chars().take(32).collect();
    Error::sender("UnsupportedHttpVerb", format!("The requested HTTP verb is not supported: {method}"))
}

/// What an input is read from.
pub(crate) enum Input<'a> {
    /// Parameters of the query protocol.
    Parameters(&'a Tree<'a>),
    /// A body in JSON or CBOR.
    Document(&'a Document),
}

impl Input<'_> {
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, query::Error> {
        match self {
            Self::Parameters(tree) => tree.to(),
            Self::Document(document) => document.to(),
        }
    }
}

fn decode_call(api: Api, action: &str, input: &Input<'_>) -> Option<Result<(Call, &'static str), query::Error>> {
    Some(match api {
        Api::Elb => elb::Call::decode(action, input)?.map(|call| (call.name(), Call::Elb(call))),
        Api::Ec2 => ec2::Call::decode(action, input)?.map(|call| (call.name(), Call::Ec2(call))),
        Api::Acm => acm::Call::decode(action, input)?.map(|call| (call.name(), Call::Acm(call))),
        Api::AutoScaling => {
            autoscaling::Call::decode(action, input)?.map(|call| (call.name(), Call::AutoScaling(call)))
        }
        Api::Iam => iam::Call::decode(action, input)?.map(|call| (call.name(), Call::Iam(call))),
        Api::Sts => sts::Call::decode(action, input)?.map(|call| (call.name(), Call::Sts(call))),
        Api::Sns => sns::Call::decode(action, input)?.map(|call| (call.name(), Call::Sns(call))),
        Api::Cloudwatch => cloudwatch::Call::decode(action, input)?.map(|call| (call.name(), Call::Cloudwatch(call))),
    })
    .map(|decoded| decoded.map(|(name, call)| (call, name)))
}

/// Everything that could be read, and the first thing that could not.
pub(crate) fn parameters(request: &Request) -> (Params, Option<query::Error>) {
    let mut params = Params::default();
    let (_, query) = request.path_and_query();
    let mut malformed = params.read(query.as_bytes()).err();
    let form = match request.header("content-type") {
        None => true,
        Some(kind) => {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.is_empty() || kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        }
    };
    if form && malformed.is_none() {
        malformed = params.read(&request.body).err();
    }
    (params, malformed)
}

/// Version first: it is the one thing that every client states rightly. An action name settles what it leaves open:
/// EC2 and ELB once shared version dates, and clients of 2009 state older ones.
fn route(request: &Request, params: &Params) -> Option<Api> {
    let action = params.first("Action")?;
    let stated = params.first("Version");
    let exact = Api::ALL.into_iter().find(|api| *api != Api::Ec2 && stated == Some(api.version()));
    let host = request.header("host").unwrap_or_default();
    let named = Api::ALL
        .into_iter()
        .find(|api| stated.is_none() && host.split('.').next().is_some_and(|label| label == api.signing_name()));
    let any = [Api::Ec2, Api::Elb, Api::Sts, Api::Iam, Api::Acm, Api::Sns, Api::Cloudwatch];
    [exact, named].into_iter().flatten().chain(any).find(|api| api.serves(action))
}

/// Versions of query APIs that are not served (Auto Scaling, ELBv2): their clients expect the
/// query form of an error.
const OTHER_QUERY_VERSIONS: [&str; 2] = ["2011-01-01", "2015-12-01"];

fn unrouted_dialect(request: &Request, params: &Params) -> Dialect {
    match params.first("Version") {
        Some(version) => match Api::ALL.into_iter().find(|api| api.version() == version) {
            Some(api) => api.dialect(),
            None if OTHER_QUERY_VERSIONS.contains(&version) => Api::Elb.dialect(),
            None => Dialect::Ec2,
        },
        None if request.header("host").is_some_and(|host| host.starts_with("ec2.")) => Dialect::Ec2,
        None => Api::Elb.dialect(),
    }
}

/// As stated where it looks like a version, so that nobody writes into our XML through it.
fn version(api: Api, params: &Params) -> String {
    params
        .first("Version")
        .filter(|text| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
        .unwrap_or(api.version())
        .to_owned()
}

/// The table of one API: `Action => Output` per row, where the input is the type called like the action. Makes
/// `ACTIONS`, `Call` and an [`Action`] for every input.
macro_rules! actions {
    ($api:expr; $($action:ident => $output:ty),* $(,)?) => {
        /// Names of all actions served, sorted.
        pub const ACTIONS: &[&str] = &[$(stringify!($action)),*];

        /// One call of this API with its input.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "made once and moved once per request; a box buys nothing")]
        pub enum Call {
            $(
                #[doc = concat!("`", stringify!($action), "`.")]
                $action($action),
            )*
        }

        impl Call {
            /// Name of the action.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$action(_) => stringify!($action),)*
                }
            }

            pub(crate) fn decode(
                action: &str,
                input: &crate::dispatch::Input<'_>,
            ) -> Option<Result<Self, crate::query::Error>> {
                match action {
                    $(stringify!($action) => Some(input.to().map(Self::$action)),)*
                    _ => None,
                }
            }
        }

        pub(crate) fn each_action(seer: &mut impl crate::dispatch::EachAction) {
            $(seer.see::<$action>();)*
        }

        $(
            impl crate::dispatch::Action for $action {
                const NAME: &'static str = stringify!($action);
                const API: Api = $api;
                type Output = $output;
            }
        )*
    };
}
pub(crate) use actions;

#[cfg(test)]
mod tests {
    use super::*;

    fn get(host: &str, query: &str) -> Request {
        Request {
            method: "GET".into(),
            target: format!("/?{query}"),
            headers: vec![("Host".into(), host.into())],
            body: Vec::new(),
        }
    }

    #[test]
    fn version_then_host_then_name_find_the_api() {
        let check = |host: &str, query: &str, api: Api, version: &str| {
            let decoded = decode(&get(host, query)).expect(query);
            assert_eq!((decoded.api, decoded.version.as_str()), (api, version), "{query}");
        };
        check("h", "Version=2012-06-01&Action=DescribeLoadBalancers", Api::Elb, "2012-06-01");
        check("h", "Version=2011-11-15&Action=DescribeLoadBalancers", Api::Elb, "2011-11-15");
        check("h", "Action=DescribeLoadBalancers", Api::Elb, "2012-06-01");
        check("h", "Version=2011-06-15&Action=GetCallerIdentity", Api::Sts, "2011-06-15");
        check("h", "Version=2008-12-01&Action=DescribeInstances", Api::Ec2, "2008-12-01");
        check("h", "Version=2012-06-01&Action=DescribeInstances", Api::Ec2, "2012-06-01");
        check("h", "Action=DescribeInstances", Api::Ec2, "2016-11-15");
        // As the links in notifications have it.
        check("h", "Action=ConfirmSubscription&TopicArn=a&Token=t", Api::Sns, "2010-03-31");
        check("h", "Version=2010-08-01&Action=ListMetrics", Api::Cloudwatch, "2010-08-01");
        check("monitoring.us-east-1.amazonaws.com", "Action=ListMetrics", Api::Cloudwatch, "2010-08-01");
        check("h", "Version=\"><x>.....&Action=DescribeInstances", Api::Ec2, "2016-11-15");
        // Two APIs have this one.
        let names = "&LoadBalancerNames.member.1=x";
        check("h", &format!("Version=2012-06-01&Action=DescribeTags{names}"), Api::Elb, "2012-06-01");
        check("h", "Version=2014-10-01&Action=DescribeTags", Api::Ec2, "2014-10-01");
        check("elasticloadbalancing.x.y", &format!("Action=DescribeTags{names}"), Api::Elb, "2012-06-01");
    }

    #[test]
    fn refusals_keep_their_dialect() {
        let check = |request: Request, code: &str, dialect: Dialect| {
            let rejected = decode(&request).expect_err(&request.target);
            assert_eq!((rejected.error.code.as_ref(), rejected.form), (code, dialect.into()), "{}", request.target);
            assert_eq!(super::form(&request), dialect.into());
        };
        let elb = Api::Elb.dialect();
        check(get("h", ""), "MissingAction", elb);
        check(get("ec2.us-east-1.amazonaws.com", ""), "MissingAction", Dialect::Ec2);
        check(get("h", "Version=2012-06-01&Action="), "MissingAction", elb);
        check(get("h", "Version=2012-06-01&Action=Nope"), "InvalidAction", elb);
        check(get("h", "Version=2015-12-01&Action=DescribeTargetGroups"), "InvalidAction", elb);
        check(get("h", "Version=2011-06-15&Action=AssumeRole"), "InvalidAction", Api::Sts.dialect());
        check(get("h", "Version=2016-11-15&Action=Nope"), "InvalidAction", Dialect::Ec2);
        check(get("h", "Version=2016-11-15&Action=TerminateInstances"), "MissingParameter", Dialect::Ec2);
        check(get("h", "Version=2012-06-01&Action=DeleteLoadBalancer"), "ValidationError", elb);
        let put = Request { method: "PUT".into(), ..get("h", "Version=2016-11-15&Action=DescribeInstances") };
        check(put, "UnsupportedHttpVerb", Dialect::Ec2);
        let mut other = get("h", "");
        other.headers.push(("Content-Type".into(), b"application/json".to_vec()));
        other.body = b"Action=DescribeInstances".to_vec();
        check(other, "MissingAction", elb);
    }

    #[test]
    fn query_and_form_count_alike() {
        let mut request = get("h", "Version=2012-06-01&Action=DeleteLoadBalancer");
        request.method = "POST".into();
        request.body = b"LoadBalancerName=x&Action=DescribeLoadBalancers".to_vec();
        let decoded = decode(&request).expect("both halves");
        let wanted = elb::DeleteLoadBalancer { load_balancer_name: "x".into() };
        assert_eq!(decoded.call, Call::Elb(elb::Call::DeleteLoadBalancer(wanted)));
        assert_eq!(action_name(&request).as_deref(), Some("DeleteLoadBalancer"));
    }

    #[test]
    fn tables_are_sorted() {
        for api in Api::ALL {
            let mut sorted = api.actions().to_vec();
            sorted.sort_by_key(|name| name.to_ascii_lowercase());
            assert_eq!(api.actions(), sorted, "{api:?}");
        }
    }
}
