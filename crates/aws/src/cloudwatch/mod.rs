//! CloudWatch, version 2010-08-01, which clients speak in the query protocol (boto 2), AWS JSON 1.0 (boto3, the AWS CLI) and
//! RPC v2 CBOR (newer SDKs): its inputs, outputs and table of actions.
//!
//! Knows names and shapes, not rules. What AWS requires is an `Option` all the same: a parameter that is missing has a code of its
//! own in this API (`MissingParameter`), which the handler tells. Next: [`metric`], [`datum`], [`statistics`], [`data`], [`alarm`],
//! and [`crate::dispatch`] for what the table makes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

pub mod alarm;
pub mod data;
pub mod datum;
pub mod metric;
pub mod statistics;

pub use alarm::*;
pub use data::*;
pub use datum::*;
pub use metric::*;
pub use statistics::*;

use serde::{Deserialize, Serialize};

use crate::dispatch::{Api, actions};

actions! {
    Api::Cloudwatch;
    DeleteAlarms => Nothing,
    DescribeAlarmHistory => DescribeAlarmHistoryOutput,
    DescribeAlarms => DescribeAlarmsOutput,
    DescribeAlarmsForMetric => DescribeAlarmsForMetricOutput,
    DisableAlarmActions => Nothing,
    EnableAlarmActions => Nothing,
    GetMetricData => GetMetricDataOutput,
    GetMetricStatistics => GetMetricStatisticsOutput,
    ListMetrics => ListMetricsOutput,
    ListTagsForResource => ListTagsForResourceOutput,
    PutMetricAlarm => Nothing,
    PutMetricData => Nothing,
    SetAlarmState => Nothing,
    TagResource => Nothing,
    UntagResource => Nothing,
}

/// The answer of actions that answer nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}
