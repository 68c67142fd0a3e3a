"""Calls a function of a step's code, each time in a process of its own that has its libraries imported already.

Started by the runner as `python worker.py MODULE ROOT`, with a socket as its standard input. A request is its length in
four bytes, with the file descriptor for all that the call prints, and then JSON; the answers are two lines of JSON, `pid`
and `status`. The process of the next call is made, and warm, before it is asked for.
The step's own modules are imported by each call anew, since they may look at what is the call's own; the libraries
that they name are imported once. Only the standard library is used, and nothing newer than Python 3.9.
"""

import _io
import ast
import atexit
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import mmap
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
REHEARSAL = "liminal_rehearsal"
REHEARSALS = 10  # Python 3.11 adapts code that has run eight times.


def main(module, root):
    """Serves calls; returns in the process of each call, and there alone: the script that makes it, and what was imported
    before."""
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    # Code may lie where nothing can be written, so that each call would compile it.
    sys.pycache_prefix = os.path.join(os.getcwd(), "bytecode")
    spec = importlib.util.spec_from_file_location("liminal call", os.path.join(HERE, "call_step.py"))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    printed = preload(module, root, null)
    stage = Stage(script)
    for _ in range(REHEARSALS):
        stage.rehearse()
    gc.collect()
    gc.freeze()  # What is there stays, and is not touched by each call's collector.
    known = set(sys.modules)
    taken = mmap.mmap(-1, 1)
    while True:
        taken[0] = 0
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            stage.rehearse()
            request, output = receive(control)
            taken[0] = 1
            answer(control, {"pid": os.getpid()})
            control.close()
            os.close(null)
            os.write(output, printed)
            become(request, output)
            return script, known
        status = status_of(pid, control)
        if not taken[0]:
            sys.exit(0)  # It ended before it was asked for anything: the runner has gone, and if not, starts another worker.
        answer(control, {"status": status})
        printed = b""


class Stage:
    """Calls of nothing: what every call goes through has run before then. The interpreter adapts code to what it meets, and a
    forked process copies memory that it writes to; here both are done before a call waits for them."""

    def __init__(self, script):
        self.script = script
        self.folder = os.path.join(os.getcwd(), "rehearsal")
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, REHEARSAL + ".py"), "w") as file:
            file.write("def nothing():\n    pass\n")
        call = {"module": REHEARSAL, "function": "nothing", "root": self.folder, "code": self.folder, "metrics": None}
        call.update(inputs={}, values={}, outputs={}, error=os.path.join(self.folder, "error.json"))
        self.call = os.path.join(self.folder, "call.json")
        with open(self.call, "w") as file:
            json.dump(call, file)

    def rehearse(self):
        path, words = sys.path[:], sys.argv[:]
        sys.argv[:] = ["", self.call]
        self.script.main()
        sys.path[:], sys.argv[:] = path, words
        del sys.modules[REHEARSAL]
        open_files()


def receive(control):
    header, descriptors, _, _ = socket.recv_fds(control, LENGTH, 1)
    if len(header) < LENGTH or not descriptors:
        os._exit(0)  # The runner has gone.
    size = int.from_bytes(header, "big")
    body = bytearray()
    while len(body) < size:
        piece = control.recv(size - len(body))
        if not piece:
            os._exit(0)
        body += piece
    return json.loads(body), descriptors[0]


def answer(control, document):
    try:
        control.sendall(json.dumps(document).encode() + b"\n")
    except OSError:
        os._exit(0)  # The runner has gone.


def status_of(pid, control):
    """Waits for a call's process, and ends it when the runner goes away meanwhile."""
    try:
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return os.waitpid(pid, 0)[1]  # An old kernel: the process is waited for, come what may.
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    waiting.register(control, 0)  # Its end alone: requests are for the process.
    ready = [ready for ready, _ in waiting.poll()]
    os.close(handle)
    if handle not in ready:
        for kill in (os.killpg, os.kill):  # It may not lead a group yet.
            try:
                kill(pid, signal.SIGKILL)
            except OSError:
                pass
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def become(request, output):
    """Makes this process what it would be if it had been started for the call."""
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


def preload(module, root, null):
    """Imports the libraries of the step's code, and gives what they printed. What fails here fails again in the call, which
    tells of it."""
    if root and root not in sys.path:
        sys.path.insert(0, root)
    importlib.machinery.PathFinder.find_spec(module.partition(".")[0])  # It remembers what is in the folder.
    # Nobody reads what is printed before the call has its process, so it is kept meanwhile.
    printed = os.memfd_create("imports")
    for stream in (1, 2):
        os.dup2(printed, stream)
    for name in libraries(root, module):
        try:
            importlib.import_module(name)
        except BaseException:  # Whatever a library does when it is imported, the worker goes on.
            pass
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.lseek(printed, 0, os.SEEK_SET)
    text = os.read(printed, PRINTED)
    os.close(printed)
    return text


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
    for file in sorted(open_files(), key=lambda file: not isinstance(file, _io._TextIOBase)):
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


def open_files():
    # The class that all those of `io` have in common: asking it is quick, asking `io.IOBase` is not.
    return [file for file in gc.get_objects() if isinstance(file, _io._IOBase)]


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
    call_step, imported = main(sys.argv[1], sys.argv[2] or None)
    leave(make(call_step), imported)
