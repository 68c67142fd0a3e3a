"""Lists all that an account holds of an environment, by service, whatever liminal knows of it.

Each line on standard input names a project, an environment and a bucket; it is answered by a line of JSON. A fourth word,
`drained`, has all messages of the environment's queues thrown away before.
"""

import json
import sys

import boto3


def pages(client, operation, key, **arguments):
    return [item for page in client.get_paginator(operation).paginate(**arguments) for item in page.get(key, [])]


def drain(prefix):
    sqs = boto3.client("sqs")
    for url in pages(sqs, "list_queues", "QueueUrls", QueueNamePrefix=prefix):
        sqs.purge_queue(QueueUrl=url)


def found(project, environment, bucket, drained=None):
    prefix = f"liminal-{project}-{environment}-"
    mine = lambda name: name.startswith(prefix)
    if drained:
        drain(prefix)
    everything = []
    for role in pages(boto3.client("iam"), "list_roles", "Roles", PathPrefix=f"/liminal/{project}/{environment}/"):
        everything.append(("role", role["RoleName"]))
    logs = boto3.client("logs")
    for group in pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=f"/liminal/{project}/{environment}/"):
        everything.append(("logs", group["logGroupName"]))
    for url in pages(boto3.client("sqs"), "list_queues", "QueueUrls", QueueNamePrefix=prefix):
        everything.append(("queue", url.rsplit("/", 1)[1]))
    functions = boto3.client("lambda")
    for function in pages(functions, "list_functions", "Functions"):
        if mine(function["FunctionName"]):
            everything.append(("function", function["FunctionName"]))
    for mapping in pages(functions, "list_event_source_mappings", "EventSourceMappings"):
        queue = mapping["EventSourceArn"].rsplit(":", 1)[1]
        if mine(queue):
            everything.append(("mapping", queue))
    for family in pages(boto3.client("ecs"), "list_task_definition_families", "families", familyPrefix=prefix, status="ACTIVE"):
        everything.append(("task", family))
    for schedule in pages(boto3.client("scheduler"), "list_schedules", "Schedules", NamePrefix=prefix):
        everything.append(("schedule", schedule["Name"]))
    for rule in boto3.client("events").list_rules(NamePrefix=prefix)["Rules"]:
        everything.append(("rule", rule["Name"]))
    s3 = boto3.client("s3")
    for entry in s3.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", []):
        if mine(entry["Id"]):
            everything.append(("notification", entry["Id"]))
    for item in pages(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix=f"{project}/{environment}/"):
        everything.append(("object", item["Key"].split("/", 2)[2]))
    return everything


for line in sys.stdin:
    print(json.dumps(found(*line.split())), flush=True)
