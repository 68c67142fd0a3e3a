"""Calls one function of a step's code, and gives it by name what it asks for.

Started as `python call_step.py CALL_FILE`. The call file, JSON, says what to call and what the names stand for.
Only the standard library is used, and nothing newer than Python 3.8.
"""

import importlib
import inspect
import json
import os
import pathlib
import sys
import traceback

HERE = os.path.abspath(__file__)


class Unusable(Exception):
    """The call can not be made: said in one sentence, without a traceback."""


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        call = json.load(file)
    # The folder of this script is no place to import from; the step's code is.
    root = call["root"]
    sys.path[:] = ([root] if root else []) + [p for p in sys.path if p not in (root, os.path.dirname(HERE))]
    sys.argv[:] = [call["module"].replace(".", "/") + ".py"]
    try:
        result = bound(call)()
        if inspect.iscoroutine(result):
            import asyncio  # Slow to import, and rarely needed.

            result = asyncio.run(result)
        write_metrics(call, result)
    except Unusable as problem:
        say(str(problem))
        report(call, {"type": None, "message": str(problem)})
        sys.exit(1)
    except Exception as error:  # SystemExit and KeyboardInterrupt end the process as they would without us.
        explain(call, error)
        sys.exit(1)


def bound(call):
    """The function, with its arguments."""
    name = "{module}:{function}".format(**call)
    function = importlib.import_module(call["module"])
    for part in call["function"].split("."):
        if not hasattr(function, part):
            raise Unusable("`call: {}`: module {} has no `{}`{}".format(name, call["module"], part, close_to(part, function)))
        function = getattr(function, part)
    if not callable(function):
        raise Unusable("`call: {}` is no function but {}".format(name, type(function).__name__))

    inputs = {key: pathlib.Path(path) for key, path in call["inputs"].items()}
    inputs.update(call["values"])
    outputs = {key: pathlib.Path(path) for key, path in call["outputs"].items()}
    available = dict(outputs)
    available.update(inputs)

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise Unusable("`{}` does not say what it takes: call a function of Python's own kind".format(name)) from None
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    if positional:
        raise Unusable("`{}` takes `{}` by position only: arguments are given by name".format(name, positional[0]))
    missing = [p.name for p in named if p.name not in available and p.default is p.empty]
    if missing:
        raise Unusable(
            "`{}` takes {}, which the step declares neither as an input nor as an output; it declares {}".format(
                name, listed(missing), listed(sorted(available)) if available else "none"
            )
        )
    taken = {p.name for p in named}
    unwanted = [key for key in inputs if key not in taken and not takes_any]
    if unwanted:
        raise Unusable(
            "the step declares the input {}, but `{}` takes {}".format(
                listed(unwanted), name, listed([p.name for p in named]) if named else "no arguments"
            )
        )
    arguments = available if takes_any else {key: value for key, value in available.items() if key in taken}
    return lambda: function(**arguments)


def write_metrics(call, result):
    """Writes what the function returned as its metrics, where it declares some and wrote none itself."""
    path = call["metrics"]
    if path is None or os.path.exists(path) or not isinstance(result, dict):
        return
    numbers = {}
    for key, value in result.items():
        number = plain_number(value)
        if number is None:
            raise Unusable(
                "`{module}:{function}` returned {value!r:.80} under {key!r}, but metrics are numbers".format(
                    key=key, value=value, **call
                )
            )
        numbers[str(key)] = number
    with open(path, "w", encoding="utf-8") as file:
        json.dump(numbers, file, indent=2)


def plain_number(value):
    if hasattr(value, "item") and not isinstance(value, (int, float)):
        try:
            value = value.item()  # A scalar of numpy, or of what is built on it.
        except (TypeError, ValueError, RuntimeError):
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def explain(call, error):
    """Prints a traceback with the step's own frames, by paths of the project, and leaves the error in a file."""
    trim(error, set())
    sys.stdout.flush()
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    code = call["code"]
    if code:
        text = text.replace('File "{}{}'.format(code, os.sep), 'File "')
    say(text.rstrip("\n"))
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.split(".")[0]
        say("hint: if `{0}` is a module of the project, add it to `code:`; if it is a library, add it to the requirements".format(top))
    place = {}
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if code and f.filename.startswith(code + os.sep)]
    if isinstance(error, SyntaxError) and error.filename:
        place = {"file": error.filename, "line": error.lineno}
    elif own or frames:
        frame = (own or frames)[-1]
        place = {"file": frame.filename, "line": frame.lineno, "source": frame.line}
    if code and place.get("file", "").startswith(code + os.sep):
        place["file"] = os.path.relpath(place["file"], code)
    kind = type(error).__name__
    report(call, dict(place, type=kind, message=text_of(error)))


def text_of(error):
    try:
        if isinstance(error, SyntaxError):
            return str(error.msg)
        return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    except Exception:  # A __str__ of the step's own may do anything.
        return ""


def trim(error, seen):
    """Drops from an exception, and from those it came from, the frames of this script and of the import machinery."""
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = without_ours(error.__traceback__)
        trim(error.__cause__, seen)
        error = error.__context__


def without_ours(frames):
    while frames is not None and is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def is_ours(filename):
    return os.path.abspath(filename) == HERE or filename.startswith("<frozen importlib") or os.path.dirname(
        filename
    ) == os.path.dirname(importlib.__file__)


def report(call, error):
    try:
        with open(call["error"], "w", encoding="utf-8") as file:
            json.dump(error, file)
    except OSError:
        pass


def say(text):
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def listed(names):
    return ", ".join("`{}`".format(name) for name in names)


def close_to(name, module):
    import difflib

    close = difflib.get_close_matches(name, dir(module), 1)
    return "; did you mean `{}`?".format(close[0]) if close else ""


if __name__ == "__main__":
    main()
