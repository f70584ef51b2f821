"""Judges with boto3, the AWS CLI, boto 2.49 and its `cwutil` that metrics are CloudWatch's: what is put is read, by each client in its own
protocol, what is measured without anyone asking is there, and what is refused is refused by AWS's names.

Must never wait for a period to end: data are put into minutes that are over. Reader goes next to `boto3_sns.py`.
"""

import datetime
import gzip
import json
import math
import time

import judge
from judge import client, expect, expect_has, promise, refused, script, until

AIM = judge.enter()
judge.aim_boto_by_proxy(AIM)
judge.aim_modern(AIM)

import boto  # noqa: E402  after its configuration stands
import boto3  # noqa: E402  the same
from botocore.config import Config  # noqa: E402

SPACE = "Judge/" + AIM.name
# Two minutes that are over, whatever the clock says.
START = datetime.datetime.fromtimestamp(time.time() // 60 * 60 - 300, datetime.timezone.utc)
END = START + datetime.timedelta(minutes=2)
HOST = [{"Name": "Host", "Value": "a"}]


def main():
    watch = boto3.client("cloudwatch")
    put_and_read(watch)
    asked_at_once(watch)
    listed(watch)
    zipped()
    refusals()
    by_cli()
    by_boto2(watch)
    by_cwutil()
    unasked(watch)


def put_and_read(watch):
    datum = {"MetricName": "Depth", "Dimensions": HOST, "Unit": "Count"}
    watch.put_metric_data(
        Namespace=SPACE,
        MetricData=[
            dict(datum, Timestamp=START, Value=1.5),
            dict(datum, Timestamp=START + datetime.timedelta(seconds=59), Values=[2.5, 3.5], Counts=[1, 2]),
            dict(datum, Timestamp=START + datetime.timedelta(seconds=60), StatisticValues={"SampleCount": 2, "Sum": 30, "Minimum": 10, "Maximum": 20}),
        ],
    )
    asked = dict(Namespace=SPACE, MetricName="Depth", Dimensions=HOST, StartTime=START, EndTime=END, Period=60)
    told = watch.get_metric_statistics(Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"], **asked)
    points = sorted(told["Datapoints"], key=lambda point: point["Timestamp"])
    expect("its label", told["Label"], "Depth")
    expect("when", [point["Timestamp"] for point in points], [START, START + datetime.timedelta(minutes=1)])
    first = dict(points[0], Timestamp=None)
    expect("the first", first, {"Timestamp": None, "SampleCount": 4.0, "Average": 2.75, "Sum": 11.0, "Minimum": 1.5, "Maximum": 3.5, "Unit": "Count"})
    told = watch.get_metric_statistics(ExtendedStatistics=["p50", "p100", "tm50"], **asked)["Datapoints"]
    expect("percentiles, where the spread is known", [point["ExtendedStatistics"] for point in told], [{"p50": 2.5, "p100": 3.5, "tm50": 2.0}])


def asked_at_once(watch):
    for minute in range(2):
        at = START + datetime.timedelta(minutes=minute)
        data = [{"MetricName": name, "Timestamp": at, "Value": value} for name, value in (("Errors", 1.0 + minute), ("Requests", 100.0))]
        watch.put_metric_data(Namespace=SPACE, MetricData=data)

    def metric(name):
        return {"Metric": {"Namespace": SPACE, "MetricName": name}, "Period": 60, "Stat": "Sum"}

    queries = [
        {"Id": "rate", "Expression": "100 * errors / requests", "Label": "Error rate"},
        {"Id": "errors", "MetricStat": metric("Errors"), "ReturnData": False},
        {"Id": "requests", "MetricStat": metric("Requests")},
        {"Id": "filled", "Expression": "FILL(METRICS('errors'), 0)"},
    ]
    span = dict(StartTime=START, EndTime=END)
    told = watch.get_metric_data(MetricDataQueries=queries, ScanBy="TimestampAscending", **span)["MetricDataResults"]
    expect("which", [(one["Id"], one["Label"], one["Values"]) for one in told], [
        ("rate", "Error rate", [1.0, 2.0]), ("requests", "Requests", [100.0, 100.0]), ("filled", "Errors", [1.0, 2.0]),
    ])  # fmt: skip
    expect("when", told[0]["Timestamps"], [START, START + datetime.timedelta(minutes=1)])
    paged = watch.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, MaxDatapoints=1, **span)
    values = [value for page in paged for one in page["MetricDataResults"] for value in one["Values"]]
    expect("in pages", values, [2.0, 1.0, 100.0, 100.0, 2.0, 1.0])


def listed(watch):
    pages = watch.get_paginator("list_metrics").paginate(Namespace=SPACE, RecentlyActive="PT3H")
    names = sorted(metric["MetricName"] for page in pages for metric in page["Metrics"])
    expect("what there is", names, ["Depth", "Errors", "Requests"])
    with_host = watch.list_metrics(Namespace=SPACE, Dimensions=[{"Name": "Host"}])["Metrics"]
    expect("with a dimension", with_host, [{"Namespace": SPACE, "MetricName": "Depth", "Dimensions": HOST}])
    expect("with another", watch.list_metrics(Namespace=SPACE, Dimensions=[{"Name": "Host", "Value": "b"}])["Metrics"], [])


def zipped():
    """Bodies above a bound come in gzip: botocore's own doing."""
    watch = boto3.client("cloudwatch", config=Config(request_min_compression_size_bytes=100))
    seen = []
    watch.meta.events.register("before-send.cloudwatch.*", lambda request, **_: seen.append(request))
    data = [{"MetricName": "Zipped", "Timestamp": START, "Value": float(n), "StorageResolution": 1} for n in range(1000)]
    watch.put_metric_data(Namespace=SPACE, MetricData=data)
    promise("it went in gzip", seen[0].headers["Content-Encoding"] in ("gzip", b"gzip"), "gzip", dict(seen[0].headers))
    promise("and can be read", len(gzip.decompress(seen[0].body)) > len(seen[0].body), "more than it took", len(seen[0].body))
    told = watch.get_metric_statistics(Namespace=SPACE, MetricName="Zipped", StartTime=START, EndTime=END, Period=60, Statistics=["Sum", "SampleCount"])
    expect("all of it", [(point["Sum"], point["SampleCount"]) for point in told["Datapoints"]], [(499500.0, 1000.0)])


def refusals():
    watch = boto3.client("cloudwatch", config=Config(parameter_validation=False))

    def put(space=SPACE, **datum):
        return lambda: watch.put_metric_data(Namespace=space, MetricData=[dict({"MetricName": "No", "Value": 1.0}, **datum)])

    refused("AWS's own namespace", put("AWS/EC2"), "InvalidParameterValue")
    refused("not a number", put(Value=math.nan), "InvalidParameterValue")
    refused("too old", put(Timestamp=START - datetime.timedelta(days=15)), "InvalidParameterValue")
    refused("a strange unit", put(Unit="Furlongs"), "InvalidParameterValue")
    refused("two ways at once", put(StatisticValues={"SampleCount": 1, "Sum": 1, "Minimum": 1, "Maximum": 1}), "InvalidParameterCombination")
    refused("no name", lambda: watch.put_metric_data(Namespace=SPACE, MetricData=[{"Value": 1.0}]), "MissingParameter")
    asked = dict(Namespace=SPACE, MetricName="Depth", StartTime=START, EndTime=START + datetime.timedelta(days=2), Period=60)
    text = "You have requested up to 2880 datapoints, which exceeds the limit of 1440. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
    refused("too many points", lambda: watch.get_metric_statistics(Statistics=["Sum"], **asked), "InvalidParameterCombination", 400, text)
    refused("no statistic", lambda: watch.get_metric_statistics(**dict(asked, EndTime=END)), "InvalidParameterCombination")
    query = [{"Id": "e", "Expression": "gone * 2"}]
    refused("an unknown id", lambda: watch.get_metric_data(MetricDataQueries=query, StartTime=START, EndTime=END), "ValidationError")
    try:
        put(Value=math.nan)()
    except watch.exceptions.InvalidParameterValueException as error:
        expect("errors are typed", error.response["Error"]["Code"], "InvalidParameterValue")


def by_cli():
    aws = (judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws")
    put = client(*aws, "cloudwatch", "put-metric-data", "--namespace", SPACE, "--metric-name", "Cli", "--value", "7", "--unit", "Bytes", "--timestamp", START.isoformat())
    expect("put: exit status", (put.code, put.out), (0, ""))
    span = ("--start-time", START.isoformat(), "--end-time", END.isoformat(), "--period", "60")
    read = client(*aws, "cloudwatch", "get-metric-statistics", "--namespace", SPACE, "--metric-name", "Cli", "--statistics", "Sum", *span)
    expect("get: exit status", (read.code, read.err), (0, ""))
    points = json.loads(read.out)["Datapoints"]
    expect("read", [(point["Sum"], point["Unit"]) for point in points], [(7.0, "Bytes")])
    names = client(*aws, "cloudwatch", "list-metrics", "--namespace", SPACE, "--query", "Metrics[].MetricName", "--output", "text")
    expect_has("listed", names.out, "Cli")


def by_boto2(watch):
    old = boto.connect_cloudwatch()
    at = START.replace(tzinfo=None)
    expect("put", old.put_metric_data(SPACE, ["Old"], value=[4.0], timestamp=[at], unit=["Seconds"], dimensions={"Host": "b"}), True)
    points = old.get_metric_statistics(60, at, END.replace(tzinfo=None), "Old", SPACE, ["Average", "Sum"], dimensions={"Host": ["b"]}, unit="Seconds")
    expect("read", [(point["Timestamp"], point["Average"], point["Unit"]) for point in points], [(at, 4.0, "Seconds")])
    new = watch.get_metric_statistics(
        Namespace=SPACE, MetricName="Old", Dimensions=[{"Name": "Host", "Value": "b"}], StartTime=START, EndTime=END, Period=60, Statistics=["Sum"],
    )  # fmt: skip
    expect("by the new one as well", [point["Sum"] for point in new["Datapoints"]], [4.0])
    found = [metric for metric in old.list_metrics(namespace=SPACE, metric_name="Old")]
    expect("listed", [(metric.name, metric.dimensions) for metric in found], [("Old", {"Host": ["b"]})])
    metric = found[0]
    expect("and queried", [point["Maximum"] for point in metric.query(at, END.replace(tzinfo=None), ["Maximum"], period=60)], [4.0])


def by_cwutil():
    put = script("cwutil", "put", SPACE, "Book", "Host:c", "5", "Count")
    expect("put", (put.out.strip(), put.code), ("True", 0))
    names = script("cwutil", "ls")
    expect("ls: exit status", names.code, 0)
    expect_has("ls", names.out, "Book")
    read = script("cwutil", "stats", SPACE, "Book", "Host:c", "Sum")
    expect("stats: exit status", read.code, 0)
    expect_has("stats", read.out, "5.0")


def unasked(watch):
    """Nobody put these: a balancer with an instance is measured as soon as it is there."""
    elb, ec2 = boto3.client("elb"), boto3.client("ec2")
    zone = AIM.zones[0]
    listener = {"Protocol": "HTTP", "LoadBalancerPort": AIM.port, "InstancePort": AIM.instance_port}
    elb.create_load_balancer(LoadBalancerName=AIM.name, Listeners=[listener], AvailabilityZones=[zone])
    judge.at_end(lambda: elb.delete_load_balancer(LoadBalancerName=AIM.name))
    made = ec2.run_instances(ImageId=AIM.image, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone})["Instances"][0]["InstanceId"]
    judge.at_end(lambda: ec2.terminate_instances(InstanceIds=[made]))
    elb.register_instances_with_load_balancer(LoadBalancerName=AIM.name, Instances=[{"InstanceId": made}])

    def newest(space, name, dimensions, stat):
        now = datetime.datetime.now(datetime.timezone.utc)
        told = watch.get_metric_statistics(
            Namespace=space, MetricName=name, Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - datetime.timedelta(minutes=2), EndTime=now + datetime.timedelta(seconds=5), Period=1, Statistics=[stat],
        )["Datapoints"]  # fmt: skip
        return max(told, key=lambda point: point["Timestamp"])[stat] if told else None

    balancer = {"LoadBalancerName": AIM.name}
    until("it is healthy", lambda: newest("AWS/ELB", "HealthyHostCount", dict(balancer, AvailabilityZone=zone), "Maximum"), lambda got: got == 1.0)
    # The road counts its targets a moment after the first is found to be well.
    until("no request in flight", lambda: newest("AWS/ELB", "InFlightRequests", balancer, "Maximum"), lambda got: got == 0.0)
    for name in ("CPUUtilization", "LoadAverage1", "LoadAverage5", "LoadAverage15", "LoadAverage1PerCPU", "MemoryUsed", "StatusCheckFailed"):
        until(name, lambda: newest("AWS/EC2", name, {"InstanceId": made}, "Average"), lambda got: got is not None and got >= 0)


judge.judge(main)
