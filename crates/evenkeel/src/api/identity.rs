//! Who is calling (AWS, Security Token Service).

use evenkeel_aws::sts;

use super::Asked;

pub(super) fn caller(asked: &Asked<'_>) -> sts::GetCallerIdentityOutput {
    let (settings, caller) = (asked.world.settings(), &asked.caller);
    let account = settings.account.clone();
    sts::GetCallerIdentityOutput { user_id: caller.id(settings), arn: caller.arn(settings), account }
}
