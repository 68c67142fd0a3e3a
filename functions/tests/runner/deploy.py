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


def notification(bucket, queue, prefix):
    entry = {
        "Id": "liminal",
        "QueueArn": "arn:aws:sqs:eu-central-1:000000000000:" + queue,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
    }
    boto3.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [entry]}
    )


def secret(name, value):
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=value)


def put(bucket, key, content):
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content.encode())


def receive(name):
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    for message in client.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
        client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        print(message["Body"])


def task(text):
    spec = json.loads(text)
    client = boto3.client("ecs")
    client.create_cluster(clusterName=spec["cluster"])
    environment = [{"name": name, "value": value} for name, value in spec["environment"].items()]
    container = {"name": "step", "image": "any", "entryPoint": ["liminal-runner"], "command": ["task"]}
    client.register_task_definition(
        family=spec["family"],
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{**container, "environment": environment}],
    )


def tasks(cluster):
    client = boto3.client("ecs")
    arns = client.list_tasks(cluster=cluster)["taskArns"]
    found = client.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    recorded = []
    for task in found:
        definition = client.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        container = definition["containerDefinitions"][0]
        override = task["overrides"]["containerOverrides"][0]
        recorded.append(
            {
                "taskArn": task["taskArn"],
                "startedBy": task.get("startedBy"),
                "entryPoint": container["entryPoint"],
                "command": override["command"],
                "environment": {entry["name"]: entry["value"] for entry in container["environment"]},
            }
        )
    print(json.dumps(recorded))


main(*sys.argv[1:])
