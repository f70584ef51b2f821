//! How commands end, and how their errors read: `error: …`, then `hint: …` where the way out is known.
//!
//! Decides no exit code but those three. Must never print a secret. Next: [`super`], which calls [`report`].

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;

use super::http;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked: exit code 0.
    Done,
    /// It did not: exit code 1.
    Failed,
    /// It was not understood: exit code 2.
    Usage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
        })
    }
}

/// An error with its way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Hinted {
    what: String,
    hint: String,
}

/// An error that says `what`, with a hint at the way out.
pub fn hinted(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { what: what.into(), hint: hint.into() }.into()
}

/// A change that the daemon would refuse, with its code and text, found before anything was asked to change.
///
/// # Errors
/// Always.
pub fn refused<T>(code: &'static str, why: impl std::fmt::Display) -> anyhow::Result<T> {
    Err(evenkeel_aws::Error::sender(code, why.to_string())).context("it would be refused")
}

/// Writes an error and its hint.
pub fn report(error: &anyhow::Error, err: &mut dyn Write) -> Outcome {
    // Nothing is left to tell when even standard error is closed.
    let _ = writeln!(err, "error: {error:#}");
    if let Some(hint) = hint(error) {
        let _ = writeln!(err, "hint: {hint}");
    }
    Outcome::Failed
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(told) = cause.downcast_ref::<Hinted>() {
            return Some(told.hint.clone());
        }
        if let Some(told) = cause.downcast_ref::<evenkeel_aws::Error>() {
            return of_code(&told.code, &told.message).map(str::to_owned);
        }
        match cause.downcast_ref::<http::Error>() {
            Some(http::Error::Connect { .. }) => {
                Some("start the daemon with `evenkeel up`, or say where it is with `--endpoint-url`".into())
            }
            Some(http::Error::NotHttp(_)) => Some("something else listens there: see `--endpoint-url`".into()),
            _ => None,
        }
    })
}

fn of_code(code: &str, message: &str) -> Option<&'static str> {
    Some(match code {
        "LoadBalancerNotFound" => "`evenkeel lb list` shows all load balancers",
        "DuplicateLoadBalancerName" => "delete that one first (`elbadmin delete NAME`), or take another name",
        "DuplicateListener" => "remove the other listener first: `elbadmin rml NAME PORT`",
        "CertificateNotFound" => {
            "`evenkeel cert list` shows all certificates; elbadmin takes an ARN as the fourth field: `-l 443,80,https,ARN`"
        }
        "ListenerNotFound" => "`evenkeel lb show NAME` shows the listeners there are",
        "PolicyNotFound" | "DuplicatePolicyName" => {
            "`evenkeel lb policy list NAME` shows a load balancer's policies, `evenkeel lb policy list` the predefined ones"
        }
        "PolicyTypeNotFound" => "`evenkeel lb policy types` shows all types",
        "LoadBalancerAttributeNotFound" => "`evenkeel lb attr --help` names the attributes",
        "InvalidSecurityGroup" => "`aws ec2 describe-security-groups` shows all security groups",
        "SubnetNotFound" => "`aws ec2 describe-subnets` shows all subnets: each zone has one",
        "TooManyTags" => "remove some in the same command: `evenkeel lb tag NAME KEY=VALUE --remove KEY`",
        "AccessDenied" | "UnauthorizedOperation" | "AccessDeniedException" => {
            "`evenkeel key can USER ACTION RESOURCE` says which policy decides; root's keys are in the data directory"
        }
        "LimitExceeded" if message.contains("AccessKeysPerUser") => "delete one first: `evenkeel key delete ID`",
        "DeleteConflict" if message.contains("access key") => "`evenkeel key rotate` exchanges it",
        "DeleteConflict" if !message.starts_with("Certificate") => {
            "`evenkeel policy detach USER POLICY` takes a policy away; `evenkeel user delete` takes all that is a user's own"
        }
        "MalformedPolicyDocument" => {
            "docs/concepts.md, \"Users and rights\", says which actions and conditions there are"
        }
        "NoSuchEntity" if message.contains("Access Key") => "`evenkeel key list` shows all access keys",
        "NoSuchEntity" if message.contains("user with name") => "`evenkeel user list` shows all users",
        "NoSuchEntity" if message.contains("olicy") => "`evenkeel policy list` shows all policies that can be attached",
        "DeleteConflict" | "ResourceInUseException" => {
            "`evenkeel cert list` names the listeners that show it: give them another one first"
        }
        "NoSuchEntity" | "ResourceNotFoundException" => "`evenkeel cert list` shows all certificates",
        "InvalidInstance" | "InvalidInstanceID.NotFound" | "InvalidInstanceID.Malformed" => {
            "`list_instances` shows all instances"
        }
        "InvalidAMIID.NotFound" | "InvalidAMIID.Malformed" | "InvalidAMIID.Unavailable" => {
            "`evenkeel image list` shows all images"
        }
        "InvalidAMIName.Duplicate" => "give the image another name with `--name`",
        "InvalidClientTokenId" | "SignatureDoesNotMatch" | "AuthFailure" => {
            "the keys are not this daemon's; `evenkeel env` prints the right ones, and AWS_ACCESS_KEY_ID in the environment \
             goes before the data directory"
        }
        "RequestExpired" | "SignatureExpired" => "compare the clocks of this machine and of the daemon's",
        "UnreadableResponse" => "something else may listen there: see `--endpoint-url`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: anyhow::Error, expected: &str) {
        let mut err = Vec::new();
        assert_eq!(report(&error, &mut err), Outcome::Failed);
        assert_eq!(String::from_utf8(err).unwrap(), expected);
    }

    #[test]
    fn errors_read_as_one_line_and_a_hint() {
        check(anyhow::anyhow!("failed to x: y"), "error: failed to x: y\n");
        check(hinted("no keys", "make some"), "error: no keys\nhint: make some\n");
        let told = evenkeel_aws::Error::sender("InvalidInstance", "Could not find EC2 instance i-1.");
        check(
            Err::<(), _>(told).context("failed to register i-1").unwrap_err(),
            "error: failed to register i-1: InvalidInstance: Could not find EC2 instance i-1.\n\
             hint: `list_instances` shows all instances\n",
        );
    }
}
