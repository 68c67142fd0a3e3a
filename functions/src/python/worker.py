"""Calls functions of a step's code, each in a process of its own that has its libraries imported already.

Started by the runner with a socket as its standard input. A request is its length in four bytes, with the file
descriptor for all that the call prints, and then JSON; the answers are two lines of JSON, `pid` and `status`.
The step's own modules are imported by each call anew, since they may look at what is the call's own; the libraries
that they name are imported once. Only the standard library is used, and nothing newer than Python 3.9.
"""

import ast
import atexit
import gc
import importlib
import importlib.util
import io
import json
import os
import select
import signal
import socket
import sys
import threading
import weakref

HERE = os.path.dirname(os.path.abspath(__file__))
LENGTH = 4
PRINTED = 32768  # A pipe takes so much without a reader.


def main():
    """Serves calls; returns in the process of each call, and there alone: the script that makes it, and what was imported
    before."""
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    spec = importlib.util.spec_from_file_location("liminal call", os.path.join(HERE, "call_step.py"))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    served = set()
    while True:
        request, output = receive(control)
        if request["module"] not in served:
            served.add(request["module"])
            preload(request, output, null)
        known = set(sys.modules)
        pid = os.fork()
        if pid == 0:
            control.close()
            os.close(null)
            become(request, output)
            return script, known
        os.close(output)
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # It has done so itself, or is gone.
        answer(control, {"pid": pid})
        answer(control, {"status": status_of(pid, control)})


def receive(control):
    header, descriptors, _, _ = socket.recv_fds(control, LENGTH, 1)
    if len(header) < LENGTH or not descriptors:
        sys.exit(0)  # The runner has gone.
    size = int.from_bytes(header, "big")
    body = bytearray()
    while len(body) < size:
        piece = control.recv(size - len(body))
        if not piece:
            sys.exit(0)
        body += piece
    return json.loads(body), descriptors[0]


def answer(control, document):
    control.sendall(json.dumps(document).encode() + b"\n")


def status_of(pid, control):
    """Waits for a call's process, and ends it when the runner goes away meanwhile."""
    try:
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):
        handle = None  # An old kernel: the process is waited for, come what may.
    if handle is not None:
        ready = select.select([handle, control], [], [])[0]
        os.close(handle)
        if handle not in ready:
            os.killpg(pid, signal.SIGKILL)
            os._exit(0)
    return os.waitpid(pid, 0)[1]


def become(request, output):
    """Makes this process what it would be if it had been started for the call."""
    os.setpgid(0, 0)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = ["call_step.py", request["call"]]
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # It remembers the folder of whoever asked first.
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # Otherwise all calls draw the same numbers.


def preload(request, output, null):
    """Imports the libraries of the step's code. What fails here fails again in the call, which tells of it."""
    root = request["root"]
    if root and root not in sys.path:
        sys.path.insert(0, root)
    # Nobody reads what is printed before the call has its process, so it is kept meanwhile.
    printed = os.memfd_create("imports")
    for stream in (1, 2):
        os.dup2(printed, stream)
    for name in libraries(root, request["module"]):
        try:
            importlib.import_module(name)
        except BaseException:  # Whatever a library does when it is imported, the worker goes on.
            pass
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.lseek(printed, 0, os.SEEK_SET)
    os.write(output, os.read(printed, PRINTED))
    os.close(printed)
    gc.collect()
    gc.freeze()  # What is there stays, and is not touched by each call's collector.


def libraries(root, module):
    """The modules that a step's module imports at once, itself or through others of its project, but not those."""
    found, seen, pending = [], set(), [module]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        parent = name.rpartition(".")[0]
        if parent:
            pending.append(parent)
        file, package = own_file(root, name)
        if file is None and package is None:
            if not is_own(root, name):
                found.append(name)
            continue
        if file is not None:
            pending.extend(imports(file, name if package else parent))
    return sorted(found)


def own_file(root, name):
    """The file of a module of the step's own, and its folder where it is a package."""
    path = os.path.join(root or os.curdir, *name.split("."))
    if os.path.isfile(os.path.join(path, "__init__.py")):
        return os.path.join(path, "__init__.py"), path
    if os.path.isfile(path + ".py"):
        return path + ".py", None
    return (None, path) if os.path.isdir(path) else (None, None)


def is_own(root, name):
    return own_file(root, name.split(".")[0]) != (None, None)


def imports(file, package):
    """The names of all modules that a file may import when it is imported itself."""
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    names, pending = [], list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(base + ([node.module] if node.module else []))
            if base:
                names.append(base)
                names.extend(base + "." + alias.name for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.If):
            tested = {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}
            if not tested & {"TYPE_CHECKING", "__name__"}:
                pending.extend(node.body + node.orelse)
        elif isinstance(node, (ast.Try, ast.With)):
            pending.extend(ast.iter_child_nodes(node))
        elif isinstance(node, ast.ExceptHandler):
            pending.extend(node.body)
    return names


def leave(status, known):
    """Ends the process as the interpreter would, but for the libraries: taking them down takes long and serves nobody."""
    threading._shutdown()
    atexit._run_exitfuncs()
    # A file that was not closed is written to its end.
    files = [file for file in gc.get_objects() if isinstance(file, io.IOBase)]
    for file in sorted(files, key=lambda file: not isinstance(file, io.TextIOBase)):
        flush(file)
    # What the step's own modules hold is let go of.
    own = []
    for name in set(sys.modules) - known:
        try:
            own.append(weakref.ref(sys.modules.pop(name)))
        except TypeError:
            pass  # It is no module, but something that stands for one.
    gc.collect()
    for module in filter(None, (reference() for reference in own)):
        module.__dict__.clear()
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    os._exit(status)


def flush(file):
    try:
        file.flush()
    except (AttributeError, OSError, ValueError):
        pass


def status_for(code):
    """The exit status that `sys.exit(code)` asks for."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def make(script):
    try:
        script.main()
    except SystemExit as ended:
        return status_for(ended.code)
    return 0


if __name__ == "__main__":
    call_step, imported = main()
    leave(make(call_step), imported)
