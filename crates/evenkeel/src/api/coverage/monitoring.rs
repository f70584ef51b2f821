//! What is to be known of CloudWatch's operations and parameters, as [`super::remarks`] has it of the others.

use evenkeel_aws::Api::{self, Cloudwatch};

use super::remarks::Served::{self, No, Partly, Yes};
use super::remarks::{Absent, ONE_ACCOUNT, absent};

const ALARM_ACTIONS: Served = Partly(
    "SNS topics, scaling policies, `arn:aws:automate:REGION:ec2:stop|terminate|reboot|recover`; others are refused.",
);

/// API, operation (`*` for all), parameter or a name above some, and what there is to know.
pub(super) const REMARKS: &[(Api, &str, &str, Served)] = &[
    (
        Cloudwatch,
        "PutMetricData",
        "EntityMetricData.Entity",
        No("Ignored: data are taken in as any others, and belong to their metrics alone."),
    ),
    (Cloudwatch, "PutMetricData", "StrictEntityValidation", No("There are no entities to validate.")),
    (Cloudwatch, "ListMetrics", "IncludeLinkedAccounts", ONE_ACCOUNT),
    (Cloudwatch, "ListMetrics", "OwningAccount", ONE_ACCOUNT),
    (Cloudwatch, "GetMetricData", "MetricDataQueries.AccountId", ONE_ACCOUNT),
    (
        Cloudwatch,
        "PutMetricAlarm",
        "",
        Yes("Periods can be 1 and 5 s as well. Identical settings again are a success that changes nothing."),
    ),
    (Cloudwatch, "PutMetricAlarm", "OKActions", ALARM_ACTIONS),
    (Cloudwatch, "PutMetricAlarm", "AlarmActions", ALARM_ACTIONS),
    (Cloudwatch, "PutMetricAlarm", "InsufficientDataActions", ALARM_ACTIONS),
    (Cloudwatch, "PutMetricAlarm", "ComparisonOperator", Partly("Those of anomaly detection are refused.")),
    (Cloudwatch, "PutMetricAlarm", "ThresholdMetricId", No("Refused: there is no anomaly detection.")),
    (Cloudwatch, "PutMetricAlarm", "Metrics.AccountId", ONE_ACCOUNT),
    (Cloudwatch, "PutMetricAlarm", "EvaluationWindow.WallClockWindow", No("Refused: windows slide.")),
    (Cloudwatch, "PutMetricAlarm", "EvaluationWindow.SlidingWindow", Yes("All windows are such.")),
    (Cloudwatch, "PutMetricAlarm", "WarmUpConfiguration", No("Refused.")),
    (
        Cloudwatch,
        "PutMetricAlarm",
        "EvaluationCriteria",
        No("Ignored: a metric or an expression is needed all the same."),
    ),
    (
        Cloudwatch,
        "PutMetricAlarm",
        "EvaluationInterval",
        No("Ignored: each 10 s, or each second where the period is below a minute."),
    ),
    (Cloudwatch, "PutMetricAlarm", "ActionConfiguration", No("Ignored: messages do not name tags.")),
    (Cloudwatch, "DescribeAlarms", "AlarmTypes", Partly("`MetricAlarm`; of others there are none.")),
    (Cloudwatch, "DescribeAlarms", "ChildrenOfAlarmName", No("Refused: there are no composite alarms.")),
    (Cloudwatch, "DescribeAlarms", "ParentsOfAlarmName", No("Refused: there are no composite alarms.")),
    (Cloudwatch, "DescribeAlarmHistory", "AlarmTypes", Partly("`MetricAlarm`; of others there are none.")),
    (Cloudwatch, "DescribeAlarmHistory", "AlarmContributorId", No("Ignored: an alarm watches one series of values.")),
    (
        Cloudwatch,
        "DescribeAlarmHistory",
        "HistoryItemType",
        Partly("`ConfigurationUpdate`, `StateUpdate`, `Action`; at most 500 items of an alarm are kept."),
    ),
    (
        Cloudwatch,
        "GetMetricData",
        "MetricDataQueries.Expression",
        Partly(
            "Metric math: all operators, and ABS, AVG, CEIL, DIFF, DIFF_TIME, EPOCH, FILL, FIRST, FLOOR, IF, LAST, LOG, LOG10, MAX, \
             METRIC_COUNT, METRICS, MIN, PERIOD, RATE, RUNNING_SUM, STDDEV, SUM and TIME_SERIES. Others, SEARCH among them, are \
             refused by name.",
        ),
    ),
    (Cloudwatch, "GetMetricData", "MetricDataQueries.Label", Partly("As it stands: `${…}` in it is not filled in.")),
    (Cloudwatch, "GetMetricData", "LabelOptions", No("Ignored: labels have no times in them.")),
    (
        Cloudwatch,
        "GetMetricStatistics",
        "ExtendedStatistics",
        Yes("Of more than 8 different values in a period percentiles are within 1 % of the exact ones."),
    ),
];

/// Operations that are not served, and why.
pub(super) const ABSENT: &[Absent] = &[
    absent(Cloudwatch, "PutCompositeAlarm", "Alarms watch metrics and expressions, not each other."),
    absent(
        Cloudwatch,
        "PutLogAlarm *AlarmMuteRule*",
        "There are no logs to watch; `DisableAlarmActions` mutes alarms.",
    ),
    absent(Cloudwatch, "DescribeAlarmContributors", "An alarm watches one series of values."),
    absent(Cloudwatch, "*Anomaly*", "There is no anomaly detection."),
    absent(Cloudwatch, "*Dashboard* GetMetricWidgetImage", "Dashboards are Grafana's: it reads `GET /metrics`."),
    absent(
        Cloudwatch,
        "*InsightRule* *MetricStream* *Dataset* *OTel* *ResourceMetrics* *MetricDataQueryDefinition*",
        "Streams, insights, data sets and stored queries are not here.",
    ),
];
