//! Refusals as AWS errors: one exhaustive table.
//!
//! Owns which code and status a [`Refusal`] has in each API; the texts are the Refusal's own, but for the few that AWS
//! words differently by API. Must never judge. Source: the errors in botocore's models, and texts seen live.

use std::borrow::Cow;

use evenkeel_aws::Error;
use evenkeel_core::noun::image::BadManifest;
use evenkeel_core::noun::launch_template::TemplateRef;
use evenkeel_core::refusal::{BadScaling, Refusal};

use crate::keeper::Rejected;

/// What a full zone answers: AWS counts it among the server's faults, with status 500, which clients try again.
const NO_CAPACITY: &str = "InsufficientInstanceCapacity";

/// A rejection as Elastic Load Balancing words it.
pub(super) fn elb(rejected: Rejected) -> Error {
    match rejected {
        Rejected::Refused(refusal) => refused(&refusal, codes(&refusal).0, elb_text(&refusal)),
        Rejected::NotStored(_) | Rejected::Closed => unavailable("ServiceUnavailable", &rejected),
    }
}

/// A rejection as EC2 words it.
pub(super) fn ec2(rejected: Rejected) -> Error {
    match rejected {
        Rejected::Refused(refusal) => refused(&refusal, codes(&refusal).1, ec2_text(&refusal)),
        Rejected::NotStored(_) | Rejected::Closed => unavailable("Unavailable", &rejected),
    }
}

/// A rejection as IAM words it.
pub(super) fn iam(rejected: Rejected) -> Error {
    match rejected {
        Rejected::Refused(refusal) => {
            let (code, status) = iam_code(&refusal);
            let error = Error::told(status, code, refusal.to_string());
            if code == "NoSuchEntity" { Error { message: no_such_entity(&refusal), ..error } } else { error }
        }
        Rejected::NotStored(_) | Rejected::Closed => unavailable("ServiceFailure", &rejected),
    }
}

/// A rejection as Certificate Manager words it.
pub(super) fn acm(rejected: Rejected) -> Error {
    let refusal = match rejected {
        Rejected::Refused(refusal) => refusal,
        Rejected::NotStored(_) | Rejected::Closed => return unavailable("ServiceUnavailable", &rejected),
    };
    let text = refusal.to_string();
    match &refusal {
        Refusal::NoSuchCertificate(arn) => {
            Error::sender("ResourceNotFoundException", format!("Could not find certificate {arn}."))
        }
        Refusal::CertificateInUse { .. } => Error::sender("ResourceInUseException", format!("{text}.")),
        Refusal::TooManyCertificates { .. } => Error::sender("LimitExceededException", text),
        Refusal::TooManyTags { .. } => Error::sender("TooManyTagsException", text),
        Refusal::TagLength { .. } | Refusal::TagReserved => Error::sender("InvalidTagException", text),
        Refusal::IdTaken(_) => Error::receiver("InternalFailure", text),
        _ => Error::validation(text),
    }
}

/// A rejection as SNS words it.
pub(super) fn sns(rejected: Rejected) -> Error {
    let refusal = match rejected {
        Rejected::Refused(refusal) => refusal,
        Rejected::NotStored(_) | Rejected::Closed => return unavailable("InternalError", &rejected),
    };
    let text = refusal.to_string();
    match &refusal {
        Refusal::NoSuchTopic | Refusal::NoSuchSubscription => Error::sender("NotFound", text).with_status(404),
        Refusal::TooManyTopics { .. } => Error::sender("TopicLimitExceeded", text).with_status(403),
        Refusal::TooManySubscriptions { .. } => Error::sender("SubscriptionLimitExceeded", text).with_status(403),
        Refusal::TooManyTags { .. } => Error::sender("TagLimitExceeded", text),
        Refusal::IdTaken(_) => Error::receiver("InternalError", text),
        _ => Error::sender("InvalidParameter", format!("Invalid parameter: {text}")),
    }
}

/// A rejection as Auto Scaling words it.
pub(super) fn autoscaling(rejected: Rejected) -> Error {
    let refusal = match rejected {
        Rejected::Refused(refusal) => refusal,
        Rejected::NotStored(_) | Rejected::Closed => return unavailable("ServiceUnavailable", &rejected),
    };
    let text = refusal.to_string();
    match &refusal {
        Refusal::Scaling(bad) => Error::sender(scaling_code(bad), text),
        Refusal::IdTaken(_) => Error::receiver("InternalFailure", text),
        _ => Error::validation(text),
    }
}

/// A rejection as CloudWatch words it.
pub(super) fn cloudwatch(rejected: Rejected) -> Error {
    let refusal = match rejected {
        Rejected::Refused(refusal) => refusal,
        Rejected::NotStored(_) | Rejected::Closed => return unavailable("ServiceUnavailable", &rejected),
    };
    let text = refusal.to_string();
    match &refusal {
        Refusal::NoSuchAlarms(_) => Error::sender("ResourceNotFound", text).with_status(404),
        Refusal::TooManyAlarms { .. } => Error::sender("LimitExceeded", text),
        Refusal::TooManyTags { .. } | Refusal::TagLength { .. } | Refusal::TagReserved => {
            Error::invalid_parameter(text)
        }
        _ => Error::validation(text),
    }
}

fn scaling_code(bad: &BadScaling) -> &'static str {
    match bad {
        BadScaling::GroupTaken(_) | BadScaling::ConfigurationTaken(_) | BadScaling::SameTime(_) => "AlreadyExists",
        BadScaling::ConfigurationInUse(_) | BadScaling::HasMembers => "ResourceInUse",
        BadScaling::InProgress(_) | BadScaling::CoolingDown(_) | BadScaling::Blocked(_) => "ScalingActivityInProgress",
        BadScaling::TooMany { .. } => "LimitExceeded",
        BadScaling::RefreshInProgress => "InstanceRefreshInProgress",
        BadScaling::NoRefresh(_) => "ActiveInstanceRefreshNotFound",
        BadScaling::Irreversible(_) => "IrreversibleInstanceRefresh",
        BadScaling::RefreshHolds
        | BadScaling::Refresh(_)
        | BadScaling::NoSuchGroup(_)
        | BadScaling::GroupGoes(_)
        | BadScaling::NoSuchPool(_)
        | BadScaling::PoolGoes(_)
        | BadScaling::NoSuchConfiguration(_)
        | BadScaling::NoSuchImage(_)
        | BadScaling::NoSuchBalancer(_)
        | BadScaling::Sizes(_)
        | BadScaling::AboveMax { .. }
        | BadScaling::BelowMin { .. }
        | BadScaling::NoZones
        | BadScaling::ZoneTwice(_)
        | BadScaling::NotMember { .. }
        | BadScaling::NoMember(_)
        | BadScaling::MemberElsewhere { .. }
        | BadScaling::WrongState { .. }
        | BadScaling::NotRunning(_)
        | BadScaling::ElsewhereZone { .. }
        | BadScaling::NoRoom { .. }
        | BadScaling::NoSuchHook { .. }
        | BadScaling::NoSuchPolicy(_)
        | BadScaling::NoSuchTopic(_)
        | BadScaling::NoSuchNotifications(_)
        | BadScaling::PaceTag { .. }
        | BadScaling::Policy(_)
        | BadScaling::NoSuchSchedule(_)
        | BadScaling::NoSuchAction(_) => "ValidationError",
    }
}

fn iam_code(refusal: &Refusal) -> (&'static str, u16) {
    match refusal {
        Refusal::NoSuchCertificate(_) => ("NoSuchEntity", 404),
        Refusal::NoSuchUser(_)
        | Refusal::NoSuchAccessKey(_)
        | Refusal::NoSuchUserPolicy(_)
        | Refusal::NoSuchManagedPolicy(_)
        | Refusal::NoSuchPolicyVersion { .. } => ("NoSuchEntity", 404),
        Refusal::CertificateTaken(_) | Refusal::UserTaken(_) | Refusal::ManagedPolicyTaken(_) => {
            ("EntityAlreadyExists", 409)
        }
        Refusal::CertificateInUse { .. }
        | Refusal::StillNeeded(_)
        | Refusal::StillVersions
        | Refusal::PolicyAttached
        | Refusal::DefaultVersion => ("DeleteConflict", 409),
        Refusal::TooManyCertificates { .. }
        | Refusal::TooManyTags { .. }
        | Refusal::PolicyTooLong { .. }
        | Refusal::Quota { .. } => ("LimitExceeded", 409),
        Refusal::PolicyPredefined(_) => ("AccessDenied", 403),
        Refusal::TagLength { .. } | Refusal::TagReserved => ("InvalidInput", 400),
        Refusal::IdTaken(_) => ("ServiceFailure", 500),
        _ => ("InvalidInput", 400),
    }
}

fn no_such_entity(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NoSuchCertificate(arn) => format!("The Server Certificate {arn} cannot be found."),
        _ => refusal.to_string(),
    }
}

fn refused(refusal: &Refusal, code: &'static str, text: Option<String>) -> Error {
    let text = text.unwrap_or_else(|| refusal.to_string());
    match code {
        "InvalidConfigurationRequest" => Error::sender(code, text).with_status(409),
        "InternalFailure" | "InternalError" | NO_CAPACITY => Error::receiver(code, text),
        _ => Error::sender(code, text),
    }
}

/// Nothing of the Change has happened; the client may try again when the cause is gone.
fn unavailable(code: &'static str, rejected: &Rejected) -> Error {
    let text = match rejected {
        Rejected::NotStored(cause) => {
            Cow::Owned(format!("The change was not made, because it could not be stored: {cause}"))
        }
        _ => Cow::Borrowed("The service is shutting down. Please try again later."),
    };
    Error::receiver(code, text).with_status(503)
}

/// The code of each Refusal: ELB's, EC2's. Where only one API can meet it, the other's is the nearest.
fn codes(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::NoSuchLoadBalancer(_) => ("LoadBalancerNotFound", "InvalidParameterValue"),
        Refusal::LoadBalancerTaken { .. } => ("DuplicateLoadBalancerName", "InvalidParameterValue"),
        Refusal::TooManyLoadBalancers { .. } => ("TooManyLoadBalancers", "ResourceLimitExceeded"),
        Refusal::NoListeners
        | Refusal::LayerMismatch { .. }
        | Refusal::CertificateNeeded
        | Refusal::NoSuchZone(_)
        | Refusal::NoZones
        | Refusal::BadHealthCheck(_)
        | Refusal::OutOfRange { .. }
        | Refusal::TagLength { .. }
        | Refusal::TagReserved => ("ValidationError", "InvalidParameterValue"),
        Refusal::TooManyListeners { .. }
        | Refusal::InstancePortConflict { .. }
        | Refusal::PortNeedsPrivilege { .. }
        | Refusal::LastZone
        | Refusal::TooManyRegistered { .. } => ("InvalidConfigurationRequest", "InvalidParameterValue"),
        Refusal::BadCombination(_) => ("InvalidConfigurationRequest", "InvalidParameterCombination"),
        Refusal::PoolExhausted { .. } => ("InvalidConfigurationRequest", "InsufficientFreeAddressesInSubnet"),
        Refusal::ListenerConflict { .. } => ("DuplicateListener", "InvalidParameterValue"),
        Refusal::NoSuchCertificate(_) => ("CertificateNotFound", "InvalidParameterValue"),
        Refusal::CertificatePending(_) | Refusal::CertificateNotWanted(_) => {
            ("InvalidConfigurationRequest", "InvalidParameterValue")
        }
        Refusal::CertificateInUse { .. } => ("InvalidConfigurationRequest", "ResourceInUse"),
        Refusal::CertificateTaken(_)
        | Refusal::TooManyCertificates { .. }
        | Refusal::NotRequested(_)
        | Refusal::TooManyChallenges { .. } => ("InvalidConfigurationRequest", "InvalidParameterValue"),
        Refusal::NoSuchGroup(_) => ("InvalidSecurityGroup", "InvalidGroup.NotFound"),
        Refusal::GroupTaken(_) => ("InvalidSecurityGroup", "InvalidGroup.Duplicate"),
        Refusal::GroupInUse(_) => ("InvalidSecurityGroup", "DependencyViolation"),
        Refusal::DefaultGroup(_) => ("InvalidSecurityGroup", "CannotDelete"),
        Refusal::RuleTaken(_) => ("InvalidSecurityGroup", "InvalidPermission.Duplicate"),
        Refusal::NoSuchRule => ("InvalidSecurityGroup", "InvalidPermission.NotFound"),
        Refusal::TooManyRules { .. } => ("InvalidSecurityGroup", "RulesPerSecurityGroupLimitExceeded"),
        Refusal::TooManyGroups { .. } => ("InvalidSecurityGroup", "SecurityGroupLimitExceeded"),
        Refusal::NoSuchListener { .. } => ("ListenerNotFound", "InvalidParameterValue"),
        Refusal::NoSuchPolicy { .. } => ("PolicyNotFound", "InvalidParameterValue"),
        Refusal::PolicyTaken { .. } => ("DuplicatePolicyName", "InvalidParameterValue"),
        Refusal::TooManyPolicies { .. } => ("TooManyPolicies", "InvalidParameterValue"),
        Refusal::PolicyNameReserved => ("ValidationError", "InvalidParameterValue"),
        Refusal::BadPolicy(_)
        | Refusal::PolicyInUse { .. }
        | Refusal::PolicyMisplaced { .. }
        | Refusal::NoSuchInstancePort { .. }
        | Refusal::WrongNetwork { .. } => ("InvalidConfigurationRequest", "InvalidParameterValue"),
        Refusal::NoSuchInstances(_) => ("InvalidInstance", "InvalidInstanceID.NotFound"),
        Refusal::InstanceTerminated(_) => ("InvalidInstance", "IncorrectInstanceState"),
        Refusal::TooManyTags { .. } => ("TooManyTags", "TagLimitExceeded"),
        Refusal::NoSuchResource(id) if id.starts_with("i-") => ("ValidationError", "InvalidInstanceID.NotFound"),
        Refusal::NoSuchResource(id) if id.starts_with("ami-") => ("ValidationError", "InvalidAMIID.NotFound"),
        Refusal::NoSuchResource(id) if id.starts_with("lt-") => ("ValidationError", "InvalidLaunchTemplateId.NotFound"),
        Refusal::NoSuchResource(id) if id.starts_with("sg-") => ("InvalidSecurityGroup", "InvalidGroup.NotFound"),
        Refusal::NoSuchResource(_) => ("ValidationError", "InvalidID"),
        Refusal::NoSuchTemplate(TemplateRef::Id(_)) => ("ValidationError", "InvalidLaunchTemplateId.NotFound"),
        Refusal::NoSuchTemplate(TemplateRef::Name(_)) => {
            ("ValidationError", "InvalidLaunchTemplateName.NotFoundException")
        }
        Refusal::NoSuchTemplateVersion { .. } => ("ValidationError", "InvalidLaunchTemplateId.VersionNotFound"),
        Refusal::TemplateNameTaken(_) => ("ValidationError", "InvalidLaunchTemplateName.AlreadyExistsException"),
        Refusal::TooManyTemplates { .. } => ("ValidationError", "ResourceLimitExceeded"),
        Refusal::Missing(_) => ("ValidationError", "MissingParameter"),
        Refusal::NoSuchGroupNamed(_) => ("InvalidSecurityGroup", "InvalidGroup.NotFound"),
        Refusal::NoSuchImage(_) => ("ValidationError", "InvalidAMIID.NotFound"),
        Refusal::ImageUnavailable(_) => ("ValidationError", "InvalidAMIID.Unavailable"),
        Refusal::ImageNameTaken { .. } => ("ValidationError", "InvalidAMIName.Duplicate"),
        Refusal::BadManifest(BadManifest::Name(_)) => ("ValidationError", "InvalidAMIName.Malformed"),
        Refusal::BadManifest(_) => ("ValidationError", "InvalidManifest"),
        Refusal::InstanceLimit { .. } => ("ValidationError", "InstanceLimitExceeded"),
        Refusal::WrongState { .. } => ("ValidationError", "IncorrectInstanceState"),
        Refusal::Protected { .. } => ("OperationNotPermitted", "OperationNotPermitted"),
        Refusal::NotStopped(_) => ("ValidationError", "IncorrectInstanceState"),
        Refusal::NoCapacity { .. } => ("ValidationError", NO_CAPACITY),
        Refusal::TypeNotOffered { .. } => ("ValidationError", "Unsupported"),
        Refusal::TypeTooSmall { .. } => ("ValidationError", "InvalidParameterCombination"),
        Refusal::TokenReused(_) => ("ValidationError", "IdempotentParameterMismatch"),
        Refusal::IdTaken(_) => ("InternalFailure", "InternalError"),
        Refusal::Scaling(_) => ("ValidationError", "InvalidParameterValue"),
        // IAM's, SNS's and CloudWatch's own, which neither of the two can meet.
        Refusal::NoSuchTopic
        | Refusal::TopicDiffers(_)
        | Refusal::TooManyTopics { .. }
        | Refusal::NoSuchSubscription
        | Refusal::SubscriptionDiffers
        | Refusal::TooManySubscriptions { .. }
        | Refusal::BadToken
        | Refusal::NoRawDelivery
        | Refusal::NoSuchUser(_)
        | Refusal::UserTaken(_)
        | Refusal::NoSuchAccessKey(_)
        | Refusal::NoSuchUserPolicy(_)
        | Refusal::NoSuchManagedPolicy(_)
        | Refusal::ManagedPolicyTaken(_)
        | Refusal::NoSuchPolicyVersion { .. }
        | Refusal::DefaultVersion
        | Refusal::PolicyAttached
        | Refusal::StillVersions
        | Refusal::PolicyPredefined(_)
        | Refusal::StillNeeded(_)
        | Refusal::PolicyTooLong { .. }
        | Refusal::Quota { .. }
        | Refusal::NoSuchAlarms(_)
        | Refusal::TooManyAlarms { .. }
        | Refusal::BadAlarm(_) => ("ValidationError", "InvalidParameterValue"),
    }
}

fn elb_text(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::NoSuchInstances(ids) => {
            let sentences: Vec<String> = ids.iter().map(|id| format!("Could not find EC2 instance {id}.")).collect();
            Some(sentences.join(" "))
        }
        _ => None,
    }
}

fn ec2_text(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::NoSuchZone(zone) => Some(format!("Invalid availability zone: [{zone}]")),
        Refusal::NoSuchResource(id) if id.starts_with("i-") => Some(format!("The instance ID '{id}' does not exist")),
        Refusal::NoSuchResource(id) if id.starts_with("ami-") => Some(format!("The image id '[{id}]' does not exist")),
        Refusal::NoSuchResource(id) if id.starts_with("lt-") => {
            Some(format!("The specified launch template, with template ID {id}, does not exist."))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::change::Protection;
    use evenkeel_core::lifecycle::Wish;
    use evenkeel_core::name::InstanceId;

    use super::*;

    #[test]
    fn what_no_call_can_provoke_is_worded_all_the_same() {
        let check = |rejected: Rejected, elb_want: (&str, u16), ec2_want: (&str, u16)| {
            let (elb, ec2) = (elb(rejected.clone()), ec2(rejected));
            assert_eq!((&*elb.code, elb.status), elb_want);
            assert_eq!((&*ec2.code, ec2.status), ec2_want);
        };
        check(Rejected::Closed, ("ServiceUnavailable", 503), ("Unavailable", 503));
        check(Rejected::NotStored("x".into()), ("ServiceUnavailable", 503), ("Unavailable", 503));
        let taken = Refusal::IdTaken("i-00000001".into());
        check(taken.into(), ("InternalFailure", 500), ("InternalError", 500));
        let instance = InstanceId::new("i-00000001").unwrap();
        let protected = Refusal::Protected { instance, wish: Wish::Terminate, by: Protection::Termination };
        check(protected.into(), ("OperationNotPermitted", 400), ("OperationNotPermitted", 400));
    }
}
