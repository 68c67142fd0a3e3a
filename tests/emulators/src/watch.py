"""Runs a program for as long as standard input stays open: a pipe closes whatever way its writer ends.

Arguments: a folder to remove at the end, then the program. A line on standard input asks for a graceful end.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 20


def adopt_orphans():
    """Makes descendants that lose their parent children of this process, so that they are found at the end."""
    try:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, of Linux alone
    except (OSError, AttributeError):
        pass


def descendants():
    parents = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else []:
        try:
            with open(f"/proc/{int(entry)}/stat") as stat:
                parents[int(entry)] = int(stat.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue  # Not a process, or gone meanwhile.
    found, below = [], {os.getpid()}
    while below:
        below = {child for child, parent in parents.items() if parent in below}
        found.extend(below)
    return found


def end(child, folder, code):
    for _ in range(500):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except OSError:
            pass
        for process in descendants():
            try:
                os.kill(process, signal.SIGKILL)
            except OSError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
        time.sleep(0.01)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(code)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    folder, program = sys.argv[1], sys.argv[2:]
    child = subprocess.Popen(program, stdin=subprocess.DEVNULL, start_new_session=True)
    ended = threading.Event()

    def watch():
        child.wait()
        ended.set()
        if not asked:
            end(child, folder, 1)

    asked = []
    threading.Thread(target=watch, daemon=True).start()
    if sys.stdin.readline():
        asked.append(True)
        child.terminate()
        ended.wait(GRACE_SECONDS)
    end(child, folder, 0)


main()
