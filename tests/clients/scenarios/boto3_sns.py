"""Judges with boto3 that topics and their subscribers are SNS's: every call that is served, a subscriber that agrees, is told and leaves by
its links, and errors by SNS's names.

Must never test delivery beyond what a subscriber sees; the daemon's own tests do. Reader goes next to `boto3_iam.py`.
"""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import judge
from judge import expect, expect_has, expect_match, promise, refused, until
from shapes import Watched

AIM = judge.enter()
judge.aim_modern(AIM)

import boto3  # noqa: E402  after its surroundings stand

GONE = "arn:aws:sns:%s:000000000000:nowhere" % AIM.region
CALLED = {
    "ConfirmSubscription", "CreateTopic", "DeleteTopic", "GetSubscriptionAttributes", "GetTopicAttributes", "ListSubscriptions",
    "ListSubscriptionsByTopic", "ListTagsForResource", "ListTopics", "Publish", "SetSubscriptionAttributes", "SetTopicAttributes",
    "Subscribe", "TagResource", "Unsubscribe", "UntagResource",
}  # fmt: skip


class Subscriber(HTTPServer):
    """Keeps what it is sent."""

    def __init__(self):
        self.got = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/" % self.server_port

    def of(self, kind):
        return [body for headers, body in list(self.got) if headers["x-amz-sns-message-type"] == kind]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append((self.headers, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    sns = boto3.client("sns")
    watched = Watched(sns)
    topic = made(sns)
    by_link(sns, topic)
    by_call(sns, topic)
    tags(sns, topic)
    refusals(sns, topic)
    sns.delete_topic(TopicArn=topic)
    refused("it is gone", lambda: sns.get_topic_attributes(TopicArn=topic), "NotFound", 404)
    expect("every answer is as modelled", watched.wrong, [])
    expect("every call was made", CALLED - watched.called, set())


def made(sns):
    topic = sns.create_topic(Name=AIM.name, Attributes={"DisplayName": "Web"})["TopicArn"]
    expect_match("its ARN", topic, r"arn:aws:sns:%s:\d{12}:%s" % (AIM.region, AIM.name))
    expect("the same again", sns.create_topic(Name=AIM.name)["TopicArn"], topic)
    expect_has("listed", [one["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for one in page["Topics"]], topic)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="The web")
    told = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    expect("its attributes", (told["DisplayName"], told["SubscriptionsPending"]), ("The web", "0"))
    return topic


def by_link(sns, topic):
    """A subscriber that knows nothing but the links it is sent."""
    subscriber = Subscriber()
    asked = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
    expect("not yet", asked["SubscriptionArn"], "pending confirmation")
    question = json.loads(until("it is asked", lambda: subscriber.of("SubscriptionConfirmation"), bool)[0])
    expect("what for", question["TopicArn"], topic)
    urllib.request.urlopen(question["SubscribeURL"]).read()
    arn = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"][0]["SubscriptionArn"]
    promise("it is confirmed", arn.startswith(topic + ":"), topic, arn)
    sent = sns.publish(
        TopicArn=topic,
        Subject="Hello",
        Message=json.dumps({"default": "for all", "http": "for you"}),
        MessageStructure="json",
        MessageAttributes={
            "level": {"DataType": "Number", "StringValue": "3"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )["MessageId"]
    told = json.loads(until("it is told", lambda: subscriber.of("Notification"), bool)[0])
    expect("of what", (told["MessageId"], told["Subject"], told["Message"]), (sent, "Hello", "for you"))
    expect("with which attributes", told["MessageAttributes"]["bytes"], {"Type": "Binary", "Value": "AP8="})
    urllib.request.urlopen(told["UnsubscribeURL"]).read()
    expect("it has left", sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"], [])


def by_call(sns, topic):
    """A subscriber that signs, and takes messages as they are."""
    subscriber = Subscriber()
    arn = sns.subscribe(
        TopicArn=topic,
        Protocol="http",
        Endpoint=subscriber.url,
        Attributes={"RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    question = json.loads(until("it is asked", lambda: subscriber.of("SubscriptionConfirmation"), bool)[0])
    confirmed = sns.confirm_subscription(TopicArn=topic, Token=question["Token"], AuthenticateOnUnsubscribe="true")
    expect("which", confirmed["SubscriptionArn"], arn)
    everything = [one["SubscriptionArn"] for page in sns.get_paginator("list_subscriptions").paginate() for one in page["Subscriptions"]]
    expect_has("listed", everything, arn)
    sns.publish(TopicArn=topic, Message="as it is")
    expect("raw", until("it is told", lambda: subscriber.of("Notification"), bool), ["as it is"])
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="false")
    told = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    expect("its attributes", (told["RawMessageDelivery"], told["PendingConfirmation"], told["ConfirmationWasAuthenticated"]), ("false", "false", "true"))
    sns.unsubscribe(SubscriptionArn=arn)


def tags(sns, topic):
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "team", "Value": "web"}, {"Key": "cost", "Value": "1"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["cost"])
    expect("its tags", sns.list_tags_for_resource(ResourceArn=topic)["Tags"], [{"Key": "team", "Value": "web"}])


def refusals(sns, topic):
    refused("no such topic", lambda: sns.publish(TopicArn=GONE, Message="x"), "NotFound", 404)
    refused("an empty message", lambda: sns.publish(TopicArn=topic, Message=""), "InvalidParameter")
    refused("another protocol", lambda: sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:x"), "InvalidParameter")
    refused("a bad token", lambda: sns.confirm_subscription(TopicArn=topic, Token="x"), "InvalidParameter")
    refused("an attribute", lambda: sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue="{}"), "InvalidParameter")
    refused("no such subscription", lambda: sns.get_subscription_attributes(SubscriptionArn=topic + ":x"), "NotFound", 404)


judge.judge(main)
