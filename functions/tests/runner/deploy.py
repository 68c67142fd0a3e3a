"""Makes what a function needs on an emulator: deploy.py bucket NAME | queue NAME | function JSON | mapping QUEUE FUNCTION."""

import json
import sys
import time

import boto3


def main(verb, *arguments):
    return globals()[verb](*arguments)


def bucket(name):
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})


def queue(name, visibility):
    boto3.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": visibility})


def function(text):
    spec = json.loads(text)
    client = boto3.client("lambda")
    with open(spec.pop("zip"), "rb") as file:
        code = {"ZipFile": file.read()}
    client.create_function(Code=code, Role="arn:aws:iam::000000000000:role/any", **spec)
    while client.get_function_configuration(FunctionName=spec["FunctionName"])["State"] != "Active":
        time.sleep(0.1)


def mapping(queue, function):
    boto3.client("lambda").create_event_source_mapping(
        EventSourceArn="arn:aws:sqs:eu-central-1:000000000000:" + queue,
        FunctionName=function,
        BatchSize=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )


def messages(name):
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    print(sum(int(number) for number in found.values()))


main(*sys.argv[1:])
