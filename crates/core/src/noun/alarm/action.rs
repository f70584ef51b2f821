//! What an alarm can do, by its ARN.
//!
//! Owns which ARNs are actions, and the record of one that is still to be done. Must never do it: what belongs to the World is
//! [`crate::world`]'s, messages are the house's. Must never know whether what an ARN names is there: AWS does not ask that of an
//! alarm either; it is said in the history when the time comes.

use serde::{Deserialize, Serialize};

use super::AlarmState;
use crate::name::TopicArn;
use crate::time::Timestamp;

/// The most that may still be to be done about one alarm; past it the oldest is given up.
pub const MOST_PENDING: usize = 50;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A message to a topic.
    Topic(TopicArn),
    /// Something done to the instance that the alarm's metric is of.
    Instance(Deed),
    /// A scaling policy carried out; its ARN.
    Scaling(String),
}

/// What is done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is stopped.
    Stop,
    /// It is ended.
    Terminate,
    /// It is started anew.
    Reboot,
    /// It is started anew, as one that is impaired.
    Recover,
}

impl Action {
    /// Reads an ARN: of an SNS topic, of a scaling policy, `arn:aws:automate:REGION:ec2:stop|terminate|reboot|recover`, or the older
    /// `arn:aws:swf:…:action/actions/AWS_EC2.InstanceId.Stop|Terminate|Reboot/1.0`.
    ///
    /// # Errors
    /// It is none of these; in words that name it.
    pub fn parse(arn: &str) -> Result<Self, String> {
        if arn.chars().count() > 1024 {
            return Err("an action's ARN cannot be longer than 1024 characters".into());
        }
        let parts: Vec<&str> = arn.split(':').collect();
        match parts[..] {
            ["arn", "aws", "sns", ..] => {
                TopicArn::new(arn).map(Self::Topic).map_err(|_| format!("Invalid arn syntax: {arn}"))
            }
            ["arn", "aws", "automate", _, "ec2", deed] => {
                let deed = match deed {
                    "stop" => Deed::Stop,
                    "terminate" => Deed::Terminate,
                    "reboot" => Deed::Reboot,
                    "recover" => Deed::Recover,
                    _ => return Err(format!("Invalid arn syntax: {arn}")),
                };
                Ok(Self::Instance(deed))
            }
            ["arn", "aws", "swf", _, _, work] => {
                let deed = match work.strip_prefix("action/actions/AWS_EC2.InstanceId.") {
                    Some("Stop/1.0") => Deed::Stop,
                    Some("Terminate/1.0") => Deed::Terminate,
                    Some("Reboot/1.0") => Deed::Reboot,
                    _ => return Err(format!("Invalid arn syntax: {arn}")),
                };
                Ok(Self::Instance(deed))
            }
            ["arn", "aws", "autoscaling", _, _, "scalingPolicy", ..] => Ok(Self::Scaling(arn.to_owned())),
            ["arn", "aws", "lambda" | "ssm" | "ssm-incidents" | "aiops", ..] => {
                Err(format!("actions can be SNS topics, scaling policies and EC2 actions here, not {arn}"))
            }
            _ => Err(format!("Invalid arn syntax: {arn}")),
        }
    }
}

/// Something still to be done about a transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Counts up within an alarm.
    pub number: u64,
    /// The action's ARN.
    pub action: String,
    /// The state before.
    pub from: AlarmState,
    /// The state whose action it is.
    pub to: AlarmState,
    /// Why it was entered.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The datapoints that were judged, the newest first, at most [`MOST_VALUES`]; what a scaling policy goes by.
    pub values: Vec<f64>,
}

/// Datapoints that are kept with an action.
pub const MOST_VALUES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_of_actions_are_told_apart() {
        let check = |arn: &str, wanted: Option<Action>| assert_eq!(Action::parse(arn).ok(), wanted, "{arn}");
        let topic = "arn:aws:sns:us-east-1:000000000000:ops";
        check(topic, Some(Action::Topic(TopicArn::new(topic).unwrap())));
        check("arn:aws:automate:us-east-1:ec2:stop", Some(Action::Instance(Deed::Stop)));
        check("arn:aws:automate:us-east-1:ec2:terminate", Some(Action::Instance(Deed::Terminate)));
        check("arn:aws:automate:us-east-1:ec2:reboot", Some(Action::Instance(Deed::Reboot)));
        check("arn:aws:automate:us-east-1:ec2:recover", Some(Action::Instance(Deed::Recover)));
        check(
            "arn:aws:swf:us-east-1:000000000000:action/actions/AWS_EC2.InstanceId.Stop/1.0",
            Some(Action::Instance(Deed::Stop)),
        );
        let policy =
            "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:u:autoScalingGroupName/web:policyName/up";
        check(policy, Some(Action::Scaling(policy.into())));
        for arn in [
            "",
            "arn:aws:sns:us-east-1",
            "arn:aws:automate:us-east-1:ec2:dance",
            "arn:aws:automate:us-east-1:rds:stop",
            "arn:aws:swf:us-east-1:0:action/actions/AWS_EC2.InstanceId.Dance/1.0",
            "arn:aws:lambda:us-east-1:0:function:f",
            "arn:aws:autoscaling:us-east-1:0:autoScalingGroup:u",
            "stop",
        ] {
            check(arn, None);
        }
    }
}
