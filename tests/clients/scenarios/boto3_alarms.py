"""Judges CloudWatch's alarms with boto3 in JSON, CBOR and the query protocol, boto 2.49 and the AWS CLI: put, found, set by hand, their
history, a subscriber who is told, tags, errors by CloudWatch's names.

Must never judge how values are judged; the daemon's own tests do. Reader goes next to `boto3_sns.py`.
"""

import datetime
import gzip
import json
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import judge
from judge import client, expect, expect_has, expect_match, promise, refused, until

AIM = judge.enter()
judge.aim_boto_by_proxy(AIM)
judge.aim_modern(AIM)

import boto  # noqa: E402  after its surroundings stand
import boto3  # noqa: E402
import botocore  # noqa: E402
from boto.ec2.cloudwatch import MetricAlarm  # noqa: E402

NAME = AIM.name
SERVICE = "GraniteServiceVersion20100801"
FORMS = {
    "monitoring-query": {"protocol": "query"},
    "monitoring-cbor": {"protocol": "smithy-rpc-v2-cbor", "targetPrefix": SERVICE},
}
PLAIN = {
    "MetricName": "Load",
    "Namespace": "App",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0.5,
    "ComparisonOperator": "GreaterThanThreshold",
    # Nothing is put into it here: the state stays as it is set.
    "TreatMissingData": "ignore",
}


class Subscriber(HTTPServer):
    """Agrees, and keeps what it is told."""

    def __init__(self):
        self.got = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def told(self):
        return [body for body in list(self.got) if body["Type"] == "Notification"]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    cloudwatch = boto3.client("cloudwatch")
    walk("json", cloudwatch)
    for service, metadata in FORMS.items():
        model(service, metadata)
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION._session.get_component("data_loader").search_paths.insert(0, str(AIM.home / "models"))
    for service in FORMS:
        walk(service, boto3.client(service))
    told(cloudwatch)
    refusals(cloudwatch)
    old_boto()
    command_line()


def model(service, metadata):
    """A copy of CloudWatch's model that says it is spoken in one protocol only."""
    into = AIM.home / "models" / service / "2010-08-01"
    into.mkdir(parents=True)
    data = botocore.session.get_session().get_component("data_loader").BUILTIN_DATA_PATH
    for file in ("service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2"):
        path = "%s/cloudwatch/2010-08-01/%s.json" % (data, file)
        try:
            text = gzip.open(path + ".gz").read()
        except FileNotFoundError:
            text = open(path, "rb").read()
        content = json.loads(text)
        if file == "service-2":
            content["metadata"].update(metadata, protocols=[metadata["protocol"]])
        (into / (file + ".json")).write_text(json.dumps(content))


def walk(form, cloudwatch):
    say = lambda what: "%s: %s" % (form, what)
    name = "%s-%s" % (NAME, form)
    dimensions = [{"Name": "Zone", "Value": "a"}, {"Name": "Kind", "Value": "ä & <b>"}]
    cloudwatch.put_metric_alarm(AlarmName=name, AlarmDescription="too much", Dimensions=dimensions, DatapointsToAlarm=1,
        Tags=[{"Key": "team", "Value": "web"}], **PLAIN)  # fmt: skip
    judge.at_end(lambda: cloudwatch.delete_alarms(AlarmNames=[name]))
    cloudwatch.get_waiter("alarm_exists").wait(AlarmNames=[name], WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    shown = cloudwatch.describe_alarms(AlarmNames=[name])
    expect(say("no composite alarms"), shown["CompositeAlarms"], [])
    alarm = shown["MetricAlarms"][0]
    expect(say("as it was put"), {key: alarm[key] for key in PLAIN}, PLAIN)
    expect(say("dimensions"), alarm["Dimensions"], dimensions)
    expect(say("state"), (alarm["StateValue"], alarm["StateReason"]), ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation"))
    expect_match(say("ARN"), alarm["AlarmArn"], r"arn:aws:cloudwatch:%s:\d{12}:alarm:%s" % (AIM.region, name))
    promise(say("a time is a time"), isinstance(alarm["StateUpdatedTimestamp"], datetime.datetime), "a datetime", alarm)
    expect(say("what was not stated is not shown"), "EvaluateLowSampleCountPercentile" in alarm, False)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand", StateReasonData='{"a": 1}')
    found = cloudwatch.describe_alarms(AlarmNamePrefix=name, StateValue="ALARM")["MetricAlarms"]
    expect(say("by prefix and state"), [(one["AlarmName"], json.loads(one["StateReasonData"])) for one in found], [(name, {"a": 1})])
    of = cloudwatch.describe_alarms_for_metric(MetricName="Load", Namespace="App", Dimensions=dimensions[::-1])["MetricAlarms"]
    expect_has(say("for its metric"), [one["AlarmName"] for one in of], name)
    cloudwatch.disable_alarm_actions(AlarmNames=[name])
    expect(say("off"), cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["ActionsEnabled"], False)
    cloudwatch.enable_alarm_actions(AlarmNames=[name])
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(AlarmName=name, PaginationConfig={"PageSize": 1})
    history = [item for page in pages for item in page["AlarmHistoryItems"]]
    kinds = [item["HistoryItemType"] for item in history]
    expect(say("history, the newest first"), kinds, ["ConfigurationUpdate"] * 2 + ["StateUpdate", "ConfigurationUpdate"])
    data = json.loads(history[2]["HistoryData"])
    expect(say("what changed"), (data["oldState"]["stateValue"], data["newState"]), (
        "INSUFFICIENT_DATA", {"stateValue": "ALARM", "stateReason": "by hand", "stateReasonData": {"a": 1}}))  # fmt: skip
    arn = alarm["AlarmArn"]
    cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "1"}])
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["team"])
    expect(say("tags"), cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "cost", "Value": "1"}])
    refused(say("no such alarm"), lambda: cloudwatch.delete_alarms(AlarmNames=["nowhere"]), ("ResourceNotFound"), 404)
    # Of an expression.
    stat = lambda metric: {"Metric": {"Namespace": "App", "MetricName": metric, "Dimensions": []}, "Period": 60, "Stat": "Sum"}
    queries = [
        {"Id": "errors", "MetricStat": stat("Errors"), "ReturnData": False},
        {"Id": "all", "MetricStat": stat("Requests"), "ReturnData": False},
        {"Id": "share", "Expression": "100 * errors / all", "Label": "%", "ReturnData": True},
    ]
    cloudwatch.put_metric_alarm(AlarmName=name + "-math", Metrics=queries, EvaluationPeriods=2, Threshold=5,
        ComparisonOperator="GreaterThanThreshold")  # fmt: skip
    judge.at_end(lambda: cloudwatch.delete_alarms(AlarmNames=[name + "-math"]))
    expect(say("an expression"), cloudwatch.describe_alarms(AlarmNames=[name + "-math"])["MetricAlarms"][0]["Metrics"], queries)


def told(cloudwatch):
    sns = boto3.client("sns")
    topic = sns.create_topic(Name=NAME)["TopicArn"]
    judge.at_end(lambda: sns.delete_topic(TopicArn=topic))
    subscriber = Subscriber()
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:%d/" % subscriber.server_port)
    question = until("it is asked", lambda: list(subscriber.got), bool)[0]
    urllib.request.urlopen(question["SubscribeURL"]).read()
    cloudwatch.put_metric_alarm(AlarmName=NAME, AlarmActions=[topic], OKActions=[topic], **PLAIN)
    judge.at_end(lambda: cloudwatch.delete_alarms(AlarmNames=[NAME]))
    cloudwatch.set_alarm_state(AlarmName=NAME, StateValue="ALARM", StateReason="a test")
    message = until("it is told", subscriber.told, bool)[0]
    expect_has("its subject", message["Subject"], 'ALARM: "%s" in ' % NAME)
    text = json.loads(message["Message"])
    expect("what it is told", (text["AlarmName"], text["OldStateValue"], text["NewStateValue"], text["NewStateReason"]),
        (NAME, "INSUFFICIENT_DATA", "ALARM", "a test"))  # fmt: skip
    expect("of what", (text["Trigger"]["MetricName"], text["Trigger"]["Statistic"], text["Trigger"]["Threshold"]), ("Load", "AVERAGE", 0.5))
    done = lambda: cloudwatch.describe_alarm_history(AlarmName=NAME, HistoryItemType="Action")["AlarmHistoryItems"]
    summary = until("it is in the history", done, bool)[0]["HistorySummary"]
    expect("in which words", summary, "Successfully executed action %s" % topic)
    cloudwatch.set_alarm_state(AlarmName=NAME, StateValue="ALARM", StateReason="again")
    cloudwatch.set_alarm_state(AlarmName=NAME, StateValue="OK", StateReason="over")
    states = lambda: [json.loads(one["Message"])["NewStateValue"] for one in subscriber.told()]
    expect("once a transition, in order", until("it is told of the end", states, lambda told: "OK" in told), ["ALARM", "OK"])


def refusals(cloudwatch):
    def put(**other):
        return lambda: cloudwatch.put_metric_alarm(**{"AlarmName": NAME + "-no", **PLAIN, **other})

    refused("two days", put(EvaluationPeriods=2881), "ValidationError")
    refused("an odd period", put(Period=61), "ValidationError")
    refused("M beyond N", put(DatapointsToAlarm=2), "ValidationError")
    refused("no ARN", put(AlarmActions=["nonsense"]), "ValidationError")
    refused("no statistic", put(Statistic="Median"), "ValidationError")
    refused("a bad token", lambda: cloudwatch.describe_alarms(NextToken="x"), "InvalidNextToken")
    refused("no JSON", lambda: cloudwatch.set_alarm_state(AlarmName=NAME, StateValue="OK", StateReason="x", StateReasonData="{"), "InvalidFormat")
    refused("no such alarm", lambda: cloudwatch.set_alarm_state(AlarmName="nowhere", StateValue="OK", StateReason="x"), "ResourceNotFound", 404)
    expect("nothing of it is there", cloudwatch.describe_alarms(AlarmNames=[NAME + "-no"])["MetricAlarms"], [])


def old_boto():
    """boto 2: every method about alarms."""
    cloudwatch = boto.connect_cloudwatch()
    name = NAME + "-boto"
    expect("none yet", cloudwatch.describe_alarms(alarm_names=[name]), [])
    alarm = MetricAlarm(name=name, metric="Load", namespace="App", statistic="Maximum", comparison=">=", threshold=2.5, period=60,
        evaluation_periods=3, unit="Count", description="old", dimensions={"Zone": ["a"]}, alarm_actions=["arn:aws:sns:us-east-1:000000000000:x"])  # fmt: skip
    expect("put_metric_alarm", cloudwatch.put_metric_alarm(alarm), True)
    judge.at_end(lambda: cloudwatch.delete_alarms([name]))
    got = cloudwatch.describe_alarms(alarm_name_prefix=name)[0]
    expect("describe_alarms", (got.name, got.comparison, got.threshold, got.period, got.evaluation_periods, got.unit), (name, ">=", 2.5, 60, 3, "Count"))
    expect("its dimensions", dict(got.dimensions), {"Zone": ["a"]})
    expect("its actions", list(got.alarm_actions), ["arn:aws:sns:us-east-1:000000000000:x"])
    got.threshold = 3.5
    expect("update", got.update(), True)
    # boto 2 cannot say what missing data mean: a state that is set holds until the alarm is judged with the next full minute.
    until("a minute is young", lambda: time.time() % 60, lambda seconds: 2 < seconds < 30, seconds=60)
    got.set_state("OK", "fine", {"a": 1})
    expect("set_state", cloudwatch.describe_alarms(state_value="OK", action_prefix="arn:aws:sns")[0].state_value, "OK")
    expect("disable_actions", got.disable_actions(), True)
    expect("which shows", cloudwatch.describe_alarms(alarm_names=[name])[0].actions_enabled, "false")
    expect("enable_actions", got.enable_actions(), True)
    of = cloudwatch.describe_alarms_for_metric("Load", "App", period=60, statistic="Maximum", dimensions={"Zone": "a"})
    expect("describe_alarms_for_metric", [one.name for one in of], [name])
    moved = cloudwatch.describe_alarm_history(name, history_item_type="StateUpdate")
    expect("describe_history", [(item.summary, item.data["newState"]["stateReason"]) for item in moved], [("Alarm updated from INSUFFICIENT_DATA to OK", "fine")])
    expect("delete_alarms", cloudwatch.delete_alarms([name]), True)
    expect("gone", cloudwatch.describe_alarms(alarm_names=[name]), [])
    cloudwatch.put_metric_alarm(alarm)


def command_line():
    def aws(*words):
        ran = client(judge.VENV / "bin" / "python", judge.VENV / "bin" / "aws", "--output", "json", "cloudwatch", *words)
        expect("aws cloudwatch %s: exit status" % words[0], (ran.code, ran.err), (0, ""))
        return json.loads(ran.out) if ran.out.strip() else None

    name = NAME + "-cli"
    aws("put-metric-alarm", "--alarm-name", name, "--metric-name", "Load", "--namespace", "App", "--extended-statistic", "p99", "--period", "10",
        "--evaluation-periods", "5", "--datapoints-to-alarm", "3", "--threshold", "1", "--comparison-operator", "LessThanThreshold",
        "--treat-missing-data", "ignore", "--evaluate-low-sample-count-percentile", "ignore")  # fmt: skip
    aws("wait", "alarm-exists", "--alarm-names", name)
    alarm = aws("describe-alarms", "--alarm-names", name)["MetricAlarms"][0]
    expect("aws describe-alarms", (alarm["ExtendedStatistic"], alarm["Period"], alarm["DatapointsToAlarm"]), ("p99", 10, 3))
    aws("set-alarm-state", "--alarm-name", name, "--state-value", "ALARM", "--state-reason", "x")
    moved = aws("describe-alarm-history", "--alarm-name", name, "--history-item-type", "StateUpdate")["AlarmHistoryItems"]
    expect("aws describe-alarm-history", [item["HistorySummary"] for item in moved], ["Alarm updated from INSUFFICIENT_DATA to ALARM"])
    aws("delete-alarms", "--alarm-names", name)
    expect("aws delete-alarms", aws("describe-alarms", "--alarm-names", name)["MetricAlarms"], [])


judge.judge(main)
