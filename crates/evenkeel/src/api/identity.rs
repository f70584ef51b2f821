//! Who is calling (AWS, Security Token Service).

use evenkeel_aws::sts;

use super::Asked;

/// The account's root: the one key pair is the owner's.
pub(super) fn caller(asked: &Asked<'_>) -> sts::GetCallerIdentityOutput {
    let account = asked.world.settings().account.clone();
    sts::GetCallerIdentityOutput { user_id: account.clone(), arn: format!("arn:aws:iam::{account}:root"), account }
}
