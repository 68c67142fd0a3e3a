"""Runs pip for another Python and platform than those it runs on.

pip takes --python-version and --platform for choosing wheels, but answers environment markers, in requirements and in
the metadata of packages alike, for the interpreter that it runs on (pypa/pip issue 11664); releases up to 23 also
compare the Python versions that packages require with that interpreter. Here all is answered for the target. Arguments: the answers as JSON, then what pip is to do. Where there is no pip that can be told so, the last
line that it prints begins with "no usable pip: ".
"""

import glob
import json
import os
import sys


def find_pip():
    try:
        import pip  # noqa: F401
    except ImportError:
        # Not installed, but the copy that new environments start with may be there.
        import ensurepip
        import sysconfig

        bundled = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
        folders = [bundled, sysconfig.get_config_var("WHEEL_PKG_DIR"), "/usr/share/python-wheels"]
        wheels = [wheel for folder in folders if folder for wheel in glob.glob(os.path.join(folder, "pip-*.whl"))]
        sys.path.insert(0, sorted(wheels)[-1])


def answer_markers(answers):
    from pip._vendor.packaging import markers

    markers.default_environment = lambda: dict(answers)
    for marker in ("python_version", "platform_machine", "sys_platform"):
        for value, expected in ((answers[marker], True), ("other", False)):
            if markers.Marker('%s == "%s"' % (marker, value)).evaluate() is not expected:
                raise ImportError("it answers markers for its own Python alone")


def answer_versions(answers):
    from pip._internal.commands.install import InstallCommand

    make_resolver = InstallCommand.make_resolver
    version = tuple(int(number) for number in answers["python_version"].split("."))

    def make_resolver_for_target(**settings):
        settings["py_version_info"] = version
        return make_resolver(**settings)

    InstallCommand.make_resolver = staticmethod(make_resolver_for_target)


def main():
    answers = json.loads(sys.argv[1])
    try:
        find_pip()
        answer_markers(answers)
        answer_versions(answers)
        from pip._internal.cli.main import main as pip
    except (ImportError, AttributeError, IndexError) as error:
        sys.exit("no usable pip: %s" % error)
    return pip(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
