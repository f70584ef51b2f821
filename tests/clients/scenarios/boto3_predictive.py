"""Judges with boto3 that policies which scale by a forecast are Auto Scaling's: two weeks of a metric's hours, what is foreseen of them, and
a group that is ready for the hour.

Must never test how a forecast is made; the daemon's own tests do. Reader goes next to `boto3_autoscaling.py`.
"""

import datetime
import math

import judge
from judge import expect, expect_has, promise, refused, until
from shapes import Watched

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

A, B = AIM.zones[:2]
GROUP, LAUNCH = AIM.name, AIM.name + "-lc"
OF = dict(AutoScalingGroupName=GROUP, PolicyName="ahead")
HOUR = datetime.timedelta(hours=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
CALLED = {"PutScalingPolicy", "DescribePolicies", "DeletePolicy", "GetPredictiveScalingForecast"}


def main():
    scaling, watch = boto3.client("autoscaling"), boto3.client("cloudwatch")
    watched = Watched(scaling)
    scaling.create_launch_configuration(LaunchConfigurationName=LAUNCH, ImageId=AIM.image, InstanceType="m1.small")
    judge.at_end(lambda: scaling.delete_launch_configuration(LaunchConfigurationName=LAUNCH))
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP, LaunchConfigurationName=LAUNCH, MinSize=1, MaxSize=2, AvailabilityZones=[A, B]
    )
    judge.at_end(lambda: ended(scaling))
    refusals(scaling)
    shapes(scaling)
    remember(watch)
    foreseen(scaling)
    met(scaling)
    expect("every answer is as modelled", watched.wrong, [])
    expect("every call was made", CALLED - watched.called, set())


def ended(scaling):
    scaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    until("it is gone", lambda: scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"], lambda g: g == [])


def group(scaling):
    return scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0]


def put(scaling, specification, **more):
    configuration = dict(MetricSpecifications=[dict(specification, TargetValue=50.0)], **more)
    return scaling.put_scaling_policy(PolicyType="PredictiveScaling", PredictiveScalingConfiguration=configuration, **OF)


def shown(scaling):
    return scaling.describe_policies(AutoScalingGroupName=GROUP, PolicyTypes=["PredictiveScaling"])["ScalingPolicies"][0]


def pair(kind):
    return {"PredefinedMetricPairSpecification": {"PredefinedMetricType": kind}}


def own(name, stat="Sum"):
    metric = {"Namespace": "Shop", "MetricName": name, "Dimensions": [{"Name": "Shop", "Value": "one"}]}
    return {"MetricDataQueries": [{"Id": name.lower(), "MetricStat": {"Metric": metric, "Stat": stat}, "ReturnData": True}]}


def refusals(scaling):
    cpu = pair("ASGCPUUtilization")
    refused("nothing stated", lambda: scaling.put_scaling_policy(PolicyType="PredictiveScaling", **OF), "ValidationError")
    refused("two metrics", lambda: put(scaling, dict(cpu, CustomizedLoadMetricSpecification=own("Jobs"))), "ValidationError")
    refused("a load alone", lambda: put(scaling, {"CustomizedLoadMetricSpecification": own("Jobs")}), "ValidationError")
    refused("no such pair", lambda: put(scaling, pair("ASGMood")), "ValidationError")
    told = refused("a pair that is not measured", lambda: put(scaling, pair("ASGNetworkIn")), "ValidationError")
    expect_has("and why", told.message, "ASGTotalNetworkIn is not measured in the AutoScalingGroup's Availability Zones")
    refused("a balancer's, without one", lambda: put(scaling, pair("ALBRequestCount")), "ValidationError")
    refused("no such mode", lambda: put(scaling, cpu, Mode="Guess"), "ValidationError")
    refused("a whole hour before", lambda: put(scaling, cpu, SchedulingBufferTime=3600), "ValidationError")
    refused("a buffer of nothing", lambda: put(scaling, cpu, MaxCapacityBuffer=10), "ValidationError")
    refused("no buffer", lambda: put(scaling, cpu, MaxCapacityBreachBehavior="IncreaseMaxCapacity"), "ValidationError")
    wrong = {"MetricDataQueries": [{"Id": "a", "Expression": "nobody + 1"}]}
    both = {"CustomizedLoadMetricSpecification": wrong, "CustomizedScalingMetricSpecification": own("Work", "Average")}
    refused("an expression of nothing", lambda: put(scaling, both), "ValidationError")
    ahead = dict(PolicyType="SimpleScaling", AdjustmentType="ExactCapacity", ScalingAdjustment=1, **OF)
    configuration = dict(MetricSpecifications=[dict(cpu, TargetValue=50.0)])
    refused(
        "of another type", lambda: scaling.put_scaling_policy(PredictiveScalingConfiguration=configuration, **ahead), "ValidationError"
    )


def shapes(scaling):
    put(scaling, pair("ASGCPUUtilization"))
    held = shown(scaling)
    wanted = {
        "MetricSpecifications": [dict(pair("ASGCPUUtilization"), TargetValue=50.0)],
        "Mode": "ForecastOnly",
        "SchedulingBufferTime": 300,
        "MaxCapacityBreachBehavior": "HonorMaxCapacity",
    }
    expect("with what AWS adds", held["PredictiveScalingConfiguration"], wanted)
    expect("it has no alarms", (held["Alarms"], held["PolicyType"]), ([], "PredictiveScaling"))
    span = dict(StartTime=NOW, EndTime=NOW + 48 * HOUR)
    told = refused("a forecast of nothing", lambda: scaling.get_predictive_scaling_forecast(**OF, **span), "ValidationError")
    expect_has("and why", told.message, "There is no forecast for policy ahead yet")
    refused("its execution", lambda: scaling.execute_policy(**OF), "ValidationError")
    mixed = {
        "PredefinedScalingMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        "CustomizedLoadMetricSpecification": own("Jobs"),
    }
    put(scaling, mixed)
    expect("one of each", shown(scaling)["PredictiveScalingConfiguration"]["MetricSpecifications"], [dict(mixed, TargetValue=50.0)])
    scaling.delete_policy(**OF)


def jobs(at):
    """900 in an hour, and 4,900 in the six that begin with this one."""
    return 4_900.0 if (at - NOW) // HOUR % 24 < 6 else 900.0


def remember(watch):
    """Two weeks: of ten jobs an hour each member has one per cent to do, and there were four."""
    dimensions = [{"Name": "Shop", "Value": "one"}]
    for name, of in (("Jobs", lambda at: jobs(at)), ("Work", lambda at: jobs(at) / 10 / 4), ("Members", lambda at: 4)):
        hours = [NOW - back * HOUR for back in range(1, 14 * 24)]
        data = [{"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": of(at)} for at in hours]
        watch.put_metric_data(Namespace="Shop", MetricData=data)


OWN = {
    "CustomizedLoadMetricSpecification": own("Jobs"),
    "CustomizedScalingMetricSpecification": own("Work", "Average"),
    "CustomizedCapacityMetricSpecification": own("Members", "Average"),
}


def foreseen(scaling):
    put(scaling, OWN)
    expect("as stated", shown(scaling)["PredictiveScalingConfiguration"]["MetricSpecifications"], [dict(OWN, TargetValue=50.0)])
    span = dict(StartTime=NOW, EndTime=NOW + 10 * 24 * HOUR)

    def asked():
        try:
            return scaling.get_predictive_scaling_forecast(**OF, **span)
        except scaling.exceptions.ClientError:
            return None

    told = until("a forecast", asked, lambda told: told is not None, seconds=90)
    (load,), capacity = told["LoadForecast"], told["CapacityForecast"]
    promise("for two days", len(load["Timestamps"]) >= 47, "at least 47 hours", load["Timestamps"])
    expect("of both the same hours", capacity["Timestamps"], load["Timestamps"])
    expect("of which metrics", load["MetricSpecification"], dict(OWN, TargetValue=50.0))
    expect("the load", [round(value, 6) for value in load["Values"]], [jobs(at) for at in load["Timestamps"]])
    expect("the capacity", capacity["Values"], [float(math.ceil(jobs(at) / 500)) for at in load["Timestamps"]])
    promise("made just now", abs(told["UpdateTime"] - NOW) < 2 * HOUR, NOW, told["UpdateTime"])
    one = scaling.get_predictive_scaling_forecast(StartTime=NOW + HOUR, EndTime=NOW + 2 * HOUR, **OF)
    expect("one hour of it", one["CapacityForecast"]["Timestamps"], [NOW + HOUR])
    expect("nothing of later", scaling.get_predictive_scaling_forecast(StartTime=NOW + 90 * HOUR, EndTime=NOW + 91 * HOUR, **OF)["CapacityForecast"]["Values"], [])
    long = dict(StartTime=NOW - 31 * 24 * HOUR, EndTime=NOW)
    refused("more than 30 days", lambda: scaling.get_predictive_scaling_forecast(**OF, **long), "ValidationError")
    refused("backwards", lambda: scaling.get_predictive_scaling_forecast(StartTime=NOW, EndTime=NOW - HOUR, **OF), "ValidationError")
    gone = dict(OF, PolicyName="gone")
    refused("of a policy that is not there", lambda: scaling.get_predictive_scaling_forecast(**gone, **span), "ValidationError")
    expect("who only forecasts does not scale", group(scaling)["DesiredCapacity"], 1)


def met(scaling):
    """Ten are foreseen, and two are the most: they are honoured, then raised."""
    put(scaling, OWN, Mode="ForecastAndScale")
    until("as many as there may be", lambda: group(scaling)["DesiredCapacity"], lambda count: count == 2)
    expect("the most", group(scaling)["MaxSize"], 2)
    until("they are there", lambda: [i["LifecycleState"] for i in group(scaling)["Instances"]], lambda states: states == ["InService"] * 2)
    causes = [one["Cause"] for one in scaling.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]]
    expect_has("and why", " ".join(causes), "a predictive scaling policy ahead forecast a capacity of 10 from ")
    scaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Launch"])
    put(scaling, OWN, Mode="ForecastAndScale", MaxCapacityBreachBehavior="IncreaseMaxCapacity", MaxCapacityBuffer=20)
    until("all that are foreseen", lambda: group(scaling)["DesiredCapacity"], lambda count: count == 10)
    expect("and a buffer", group(scaling)["MaxSize"], 12)
    scaling.delete_policy(**OF)
    expect("no policy", scaling.describe_policies(AutoScalingGroupName=GROUP)["ScalingPolicies"], [])


judge.judge(main)
