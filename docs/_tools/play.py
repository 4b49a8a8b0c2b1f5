"""Run a program or a page of the documentation together with somebody who uses it.

    python play.py PROGRAM.py [PICTURES]   the program, and its user from users.py
    python play.py PAGE.md                 the Python blocks of a page, in one namespace

A user is a generator function: it yields conditions, and goes on when they are true. It is driven
by a timer of Qt, so it needs nothing of what it looks at. The exit code is 0 if the user got all
it waited for and the program has ended by itself.

The blocks of a page run inside a loop of qtinter, and may await at top level. What a block needs
and a reader does not stands in a `{testsetup}` block, which is not shown.
"""

import ast
import contextlib
import faulthandler
import importlib
import inspect
import os
import re
import runpy
import sys
import tempfile
import traceback
from pathlib import Path

import users
from qtpy import QtCore

LONGEST_RUN = 20  # seconds
INTERVAL = 10  # milliseconds

BLOCK = re.compile(r"^```(?:python|\{testsetup\})\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main(path):
    """Run what `path` names, return the exit code."""
    faulthandler.dump_traceback_later(LONGEST_RUN, exit=True)
    with tempfile.TemporaryDirectory() as folder:
        here = os.getcwd()
        os.chdir(folder)
        try:
            return play_page(path) if path.suffix == ".md" else play_program(path)
        finally:
            os.chdir(here)


def play_program(path):
    """Run a program, which makes its own application object, with its user."""
    user = getattr(users, path.stem, None)
    if user is None:
        runpy.run_path(str(path), run_name="__main__")
        return 0
    driver = Driver(user())
    watch_applications(driver.start)
    sys.argv[:] = [str(path)]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as error:
        if error.code:
            raise
    for _ in range(10):  # What the user looks at afterwards.
        if driver.is_done:
            return 0
        driver.look()
    sys.exit("The program ended before its user was done.")


def watch_applications(created):
    """Have `created()` called when the program has made its application object."""
    classes = []
    for module, name in (
        ("QtWidgets", "QApplication"),
        ("QtGui", "QGuiApplication"),
        ("QtCore", "QCoreApplication"),
    ):
        with contextlib.suppress(ImportError):  # A QtCore without windows.
            classes.append(getattr(importlib.import_module(f"qtpy.{module}"), name))
    for kind in classes:
        watch(kind, classes, created)


def watch(kind, classes, created):
    """Change how objects are made of this one of the classes, of which the deepest come first."""
    initialize = kind.__init__

    def watched(self, *args):
        initialize(self, *args)  # With PyQt, this also calls that of the base class.
        if next(each for each in classes if isinstance(self, each)) is kind:
            created()

    kind.__init__ = watched


class Driver:
    """Drives a user by a timer of Qt."""

    def __init__(self, user):
        self.user = user
        self.condition = None
        self.is_done = False

    def start(self):
        """The application object is there."""
        self.condition = next(self.user)
        self.timer = QtCore.QTimer()
        self.timer.timeout.connect(self.look)
        self.timer.start(INTERVAL)

    def look(self):
        """Called by Qt, so nothing may be raised."""
        try:
            found = self.condition()
            if found:
                self.condition = lambda: False  # Meanwhile a dialog may be open.
                self.condition = self.user.send(found)
        except StopIteration:
            self.is_done = True
            self.condition = lambda: False
        except BaseException:
            traceback.print_exc()
            os._exit(1)


def blocks(path):
    """Return the Python blocks of a page, each with the number of lines above it."""
    text = path.read_text("utf-8")
    return [(text[: found.start(1)].count("\n"), found.group(1)) for found in BLOCK.finditer(text)]


def play_page(path):
    """Run the blocks of a page, one after the other."""
    from qtpy import QtWidgets

    import qtinter

    app = QtWidgets.QApplication(sys.argv[:1])
    reports = []
    with qtinter.QiRunner() as runner:
        runner.get_loop().set_exception_handler(lambda _, context: reports.append(context))
        task = runner.get_loop().create_task(run_blocks(path))
        task.add_done_callback(lambda _: app.exit())
        app.exec_()
        task.result()
    assert not reports, reports
    return 0


async def run_blocks(path):
    """Run them, also those that await."""
    namespace = {"__name__": "__main__"}
    for line, code in blocks(path):
        compiled = compile(
            "\n" * line + code, str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True
        )
        result = eval(compiled, namespace)
        if inspect.iscoroutine(result):
            await result


if __name__ == "__main__":
    users.pictures = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    sys.exit(main(Path(sys.argv[1]).resolve()))
