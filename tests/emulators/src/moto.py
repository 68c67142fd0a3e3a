"""Starts moto's server, which then judges two things by permissions that moto itself overlooks.

GetQueueUrl names its queue, not the queue's URL: without this, no policy but one for all queues allows it. And listing the
keys of a bucket may be allowed for some prefixes: without this, the condition allows all.
"""

import fnmatch
import sys
import threading
from urllib.parse import parse_qs, urlparse

from moto.iam.access_control import IAMPolicyStatement, IAMRequestBase, PermissionResult
from moto.server import main
from moto.sqs.responses import SQSResponse

request = threading.local()


def queue_name(self, known=SQSResponse._get_queue_name):
    return (not self._get_param("QueueUrl") and self._get_param("QueueName")) or known(self)


def check_request(self, resource, known=IAMRequestBase.check_action_permitted):
    query = parse_qs(urlparse(self._path).query, keep_blank_values=True)
    request.prefix = query.get("prefix", [""])[0]
    known(self, resource)


def judge_statement(self, action, *rest, known=IAMPolicyStatement.is_action_permitted):
    prefixes = self._statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
    if action == "s3:ListBucket" and prefixes is not None:
        if not any(fnmatch.fnmatchcase(request.prefix, prefix) for prefix in prefixes):
            return PermissionResult.NEUTRAL
    return known(self, action, *rest)


SQSResponse._get_queue_name = queue_name
IAMRequestBase.check_action_permitted = check_request
IAMPolicyStatement.is_action_permitted = judge_statement
sys.exit(main())
