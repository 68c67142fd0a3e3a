"""What Lambda's Python calls: hands each event to the runner beside this file, which does the work, and its answer back."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
_runner = None


def handler(event, context):
    runner = started()
    request = {
        "event": event,
        "deadline_ms": int(time.time() * 1000) + context.get_remaining_time_in_millis(),
        "request_id": context.aws_request_id,
    }
    try:
        runner.stdin.write(json.dumps(request).encode() + b"\n")
        runner.stdin.flush()
        answer = runner.stdout.readline()
    except OSError:
        answer = b""
    if not answer.endswith(b"\n"):
        runner.kill()
        raise RuntimeError("the runner ended with status {} before it answered".format(runner.wait()))
    answer = json.loads(answer)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]


def started():
    """The runner, started anew when it has ended."""
    global _runner
    if _runner is None or _runner.poll() is not None:
        environment = dict(os.environ, LAMBDA_TASK_ROOT=HERE, LIMINAL_PYTHON=sys.executable)
        # It belongs to one event, and the runner outlives it.
        environment.pop("_X_AMZN_TRACE_ID", None)
        pipe = subprocess.PIPE
        _runner = subprocess.Popen([program(), "serve"], stdin=pipe, stdout=pipe, env=environment)
    return _runner


def program():
    path = os.path.join(HERE, "liminal-runner")
    if os.access(path, os.X_OK):
        return path
    # Whoever unpacked the archive lost what may be executed.
    copy = os.path.join(tempfile.mkdtemp(), "liminal-runner")
    shutil.copyfile(path, copy)
    os.chmod(copy, 0o755)
    return copy


started()
