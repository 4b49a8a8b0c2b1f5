"""The pytest plugin, in runs of their own with exactly the plugins that a test names."""

from __future__ import annotations

import importlib.metadata
import os
import textwrap
from pathlib import Path
from typing import Any, Callable

import pytest
from harness import output_of

import pytest_qtinter

pytest_plugins = ["pytester"]

PRELUDE = """
import asyncio
import pytest
import qtinter
from qtpy import QtCore

def is_qt():
    return isinstance(asyncio.get_running_loop(), qtinter.QiBaseEventLoop)

def exec_for(milliseconds):
    loop = QtCore.QEventLoop()
    QtCore.QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_()
"""


def version(distribution: str) -> tuple[int, ...]:
    """The version of what is installed here, () for nothing."""
    try:
        return tuple(int(part) for part in importlib.metadata.version(distribution).split(".")[:2])
    except importlib.metadata.PackageNotFoundError:
        return ()


needs_factories = pytest.mark.skipif(
    version("pytest-asyncio") < (1, 4), reason="pytest-asyncio 1.4 or later is not installed"
)
needs_anyio = pytest.mark.skipif(not version("anyio"), reason="anyio is not installed")
needs_pytest_qt = pytest.mark.skipif(not version("pytest-qt"), reason="pytest-qt is not installed")

ASYNCIO = "pytest_asyncio.plugin"
ANYIO = "anyio.pytest_plugin"
QT = "pytestqt.plugin"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a file of tests in a process of its own, with the plugin and those that are named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    where = str(Path(pytest_qtinter.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([where, os.environ.get("PYTHONPATH", "")]))

    def run(
        tests: str,
        *plugins: str,
        ini: str = "",
        options: tuple[str, ...] = ("-p", "pytest_qtinter"),
        prelude: str = PRELUDE,
    ) -> Any:
        if ASYNCIO in plugins:
            ini += "\nasyncio_default_fixture_loop_scope = function"
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(prelude + textwrap.dedent(tests))
        named = [option for name in plugins for option in ("-p", name)]
        return pytester.runpytest_subprocess(
            "-v", "-p", "no:cacheprovider", *options, *named, timeout=25
        )

    return run


# What it costs.


def test_importing_it_imports_nothing_else():
    """The module that pytest imports in every run adds one module to those of pytest."""
    assert output_of(
        "import sys, pytest; before = set(sys.modules); import pytest_qtinter; print(set(sys.modules) - before)",
        prelude="",
    ) == ["{'pytest_qtinter'}"]


def test_a_run_that_does_not_ask_for_it(run: Callable[..., Any]):
    """It imports neither Qt nor qtinter, and registers nothing else."""
    result = run(
        """
        import sys

        def test(pytestconfig):
            ours = ("PyQt", "PySide", "qtpy", "qtinter")
            assert not [name for name in sys.modules if name.startswith(ours)]
            plugins = pytestconfig.pluginmanager.get_plugins()
            assert "pytest_qtinter" not in [type(plugin).__module__ for plugin in plugins]
        """,
        prelude="",
    )
    result.assert_outcomes(passed=1)


def is_registered() -> bool:
    """Tell whether the installed qtinter, if any, registers the plugin."""
    try:
        entries = importlib.metadata.distribution("qtinter").entry_points
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(entry.value == "pytest_qtinter" for entry in entries)


@pytest.mark.skipif(not is_registered(), reason="qtinter is not installed, or without the plugin")
@pytest.mark.parametrize("name", ["", "pytest_qtinter", "qtinter.pytest_plugin"])
def test_the_entry_point(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str):
    """pytest finds the plugin by itself; it may be named as well, by each of its names."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    others = ["-p", "no:asyncio", "-p", "no:anyio", "-p", "no:pytest-qt"]
    run(
        "def test(qtinter_runner): pass", options=(*others, *(["-p", name] if name else []))
    ).assert_outcomes(passed=1)


def test_its_name_in_the_package(run: Callable[..., Any]):
    """The plugin can be named as a module of the package, where it is not registered."""
    run("def test(qtinter_runner): pass", options=("-p", "qtinter.pytest_plugin")).assert_outcomes(
        passed=1
    )


# pytest-asyncio.


@needs_factories
def test_loop_factory(run: Callable[..., Any]):
    """A test that names "qt" runs on a Qt-backed loop with an application object; its name is as written."""
    result = run(
        """
        @pytest.mark.asyncio(loop_factories=["qt"])
        async def test_it():
            assert is_qt()
            timer = QtCore.QTimer()
            timer.setSingleShot(True)
            signal = qtinter.asyncsignal(timer.timeout)
            timer.start(0)
            await signal
        """,
        ASYNCIO,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_it PASSED*"])


@needs_factories
def test_other_tests_keep_their_loops(run: Callable[..., Any]):
    """A test that names no factory is left alone, beside one that does: it runs on asyncio's loop, without parameters."""
    result = run(
        """
        @pytest.mark.asyncio
        async def test_before(request):
            assert not is_qt() and not hasattr(request.node, "callspec")

        @pytest.mark.asyncio(loop_factories=["qt"])
        async def test_qt():
            assert is_qt()

        @pytest.mark.asyncio
        async def test_after(request):
            assert not is_qt() and not hasattr(request.node, "callspec")

        def test_synchronous(request):
            assert "qtinter_app" not in request.fixturenames
        """,
        ASYNCIO,
    )
    result.assert_outcomes(passed=4)


@needs_factories
def test_several_loop_factories(run: Callable[..., Any]):
    """A test that names several runs on each; "asyncio" is asyncio's own."""
    result = run(
        """
        @pytest.mark.asyncio(loop_factories=["qt", "asyncio"])
        async def test_it(request):
            assert is_qt() == request.node.name.endswith("[qt]")
        """,
        ASYNCIO,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_it[[]qt] PASSED*", "*::test_it[[]asyncio] PASSED*"])


OTHER_FACTORIES = """
import asyncio
class Loop(asyncio.SelectorEventLoop):
    pass
def pytest_asyncio_loop_factories():
    return {"mine": Loop}
"""


@needs_factories
def test_beside_factories_of_others(pytester: pytest.Pytester, run: Callable[..., Any]):
    """Factories that conftest.py provides stay available, and stay the default."""
    pytester.makeconftest(OTHER_FACTORIES)
    result = run(
        """
        @pytest.mark.asyncio(loop_factories=["qt", "mine"])
        async def test_both(request):
            assert is_qt() == request.node.name.endswith("[qt]")
            assert is_qt() or type(asyncio.get_running_loop()).__name__ == "Loop"

        @pytest.mark.asyncio
        async def test_default():
            assert type(asyncio.get_running_loop()).__name__ == "Loop"
        """,
        ASYNCIO,
    )
    result.assert_outcomes(passed=3)


@needs_factories
@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_by_default(run: Callable[..., Any], mode: str):
    """With the option in the configuration file, tests run on Qt-backed loops unless they name another."""
    result = run(
        f"""
        @pytest.mark.asyncio
        async def test_default():
            assert is_qt()

        @pytest.mark.asyncio(loop_factories=["asyncio"])
        async def test_plain():
            assert not is_qt()

        if {mode == "auto"}:
            async def test_unmarked():
                assert is_qt()
        """,
        ASYNCIO,
        ini=f"qtinter_loop_by_default = true\nasyncio_mode = {mode}",
    )
    result.assert_outcomes(passed=3 if mode == "auto" else 2)


def test_by_default_without_pytest_asyncio(run: Callable[..., Any]):
    """The option warns if there is nobody to heed it."""
    result = run(
        "def test(): pass",
        ini="qtinter_loop_by_default = true",
        options=("-p", "pytest_qtinter", "-W", "default"),
    )
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*it needs pytest-asyncio 1.4 or later*"])


@needs_factories
def test_fixtures_that_outlive_tests(run: Callable[..., Any]):
    """A fixture of the module is made again when the next test has another loop."""
    result = run(
        """
        import pytest_asyncio

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def resource():
            yield asyncio.get_running_loop()

        @pytest.mark.asyncio(loop_factories=["qt"], loop_scope="module")
        async def test_qt(resource):
            assert is_qt() and resource is asyncio.get_running_loop()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_plain(resource):
            assert not is_qt() and resource is asyncio.get_running_loop()
        """,
        ASYNCIO,
    )
    result.assert_outcomes(passed=2)


@pytest.mark.skipif(
    not () < version("pytest-asyncio") < (1, 4),
    reason="pytest-asyncio is not installed, or takes loop factories",
)
def test_policy_for_old_pytest_asyncio(run: Callable[..., Any]):
    """Before pytest-asyncio 1.4, its fixture for the policy does it."""
    result = run(
        """
        @pytest.fixture(scope="session")
        def event_loop_policy(qtinter_app):
            return qtinter.QiDefaultEventLoopPolicy()

        @pytest.mark.asyncio
        async def test_it():
            assert is_qt()
        """,
        ASYNCIO,
    )
    result.assert_outcomes(passed=1)


# anyio.


@needs_anyio
def test_anyio(run: Callable[..., Any]):
    """anyio takes new_event_loop as an option of its asyncio backend, for tests and fixtures."""
    result = run(
        """
        import anyio
        pytestmark = pytest.mark.anyio

        @pytest.fixture(scope="session")
        def anyio_backend(qtinter_app):
            return "asyncio", {"loop_factory": qtinter.new_event_loop}

        @pytest.fixture
        async def resource():
            yield asyncio.get_running_loop()

        async def test_it(resource):
            assert is_qt() and resource is asyncio.get_running_loop()
            with anyio.move_on_after(0.01) as scope:
                await anyio.sleep_forever()
            assert scope.cancelled_caught
        """,
        ANYIO,
    )
    result.assert_outcomes(passed=1)


# The application object.


@needs_pytest_qt
def test_application_of_pytest_qt(run: Callable[..., Any]):
    """With pytest-qt, the application object is the one of its fixture."""
    result = run(
        """
        from qtpy.QtWidgets import QApplication

        class Application(QApplication):
            pass

        @pytest.fixture(scope="session")
        def qapp_cls():
            return Application

        def test_it(qtinter_app):
            assert type(qtinter_app) is Application
        """,
        QT,
    )
    result.assert_outcomes(passed=1)


def test_application(run: Callable[..., Any]):
    """Without pytest-qt it is a QApplication, and the same for all tests."""
    result = run("""
        seen = []

        @pytest.mark.parametrize("time", [1, 2])
        def test_it(qtinter_app, time):
            from qtpy.QtWidgets import QApplication
            assert isinstance(qtinter_app, QApplication)
            seen.append(qtinter_app)
            assert seen[0] is qtinter_app is QtCore.QCoreApplication.instance()
    """)
    result.assert_outcomes(passed=2)


def test_application_without_widgets(pytester: pytest.Pytester, run: Callable[..., Any]):
    """Where there are no widgets, it is a QCoreApplication."""
    pytester.makeconftest("""
        import sys
        class Block:
            def find_spec(self, name, path=None, target=None):
                if name.endswith(".QtWidgets"):
                    raise ImportError(name)
        sys.meta_path.insert(0, Block())
    """)
    result = run("""
        def test_it(qtinter_app):
            assert type(qtinter_app) is QtCore.QCoreApplication
    """)
    result.assert_outcomes(passed=1)


# The runner.


def test_runner(run: Callable[..., Any]):
    """Where none of the other plugins is: the loop runs, whenever Qt does; no test sees that of another."""
    result = run("""
        loops = []

        @pytest.mark.parametrize("time", [1, 2])
        def test_it(qtinter_runner, time):
            assert qtinter_runner.get_loop() is asyncio.get_running_loop()
            assert asyncio.get_running_loop() not in loops
            loops.append(asyncio.get_running_loop())
            task = asyncio.get_running_loop().create_task(asyncio.sleep(0.01, "result"))
            exec_for(100)
            assert task.result() == "result"

        def test_without():
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
    """)
    result.assert_outcomes(passed=3)


@needs_pytest_qt
def test_runner_beside_qtbot(run: Callable[..., Any]):
    """What qtbot waits for may be the work of tasks."""
    result = run(
        """
        class Sender(QtCore.QObject):
            signal = QtCore.Signal(int)

        def test_it(qtbot, qtinter_runner):
            sender = Sender()

            async def work():
                await asyncio.sleep(0.01)
                sender.signal.emit(3)

            with qtbot.waitSignal(sender.signal) as blocker:
                task = asyncio.get_running_loop().create_task(work())
            assert blocker.args == [3]
            qtbot.waitUntil(task.done)
        """,
        QT,
    )
    result.assert_outcomes(passed=1)


FAILURES = {
    "a callback": (
        "asyncio.get_running_loop().call_soon(lambda: 1 / 0); exec_for(20)",
        "ZeroDivisionError: division by zero",
    ),
    "a task that nobody awaits": (
        "asyncio.get_running_loop().create_task(fail()); exec_for(20)",
        "*Task exception was never retrieved",
    ),
    "a slot": ("qtinter.asyncslot(fail)()", "*exception in asyncslot fail"),
    "a task that is left": (
        "asyncio.get_running_loop().create_task(asyncio.sleep(60), name='stray')",
        "The test leaves a task behind: *name='stray'*",
    ),
    "both": (
        "asyncio.get_running_loop().create_task(asyncio.sleep(60)); qtinter.asyncslot(fail)()",
        "The test leaves a task behind: *",
    ),
}


@pytest.mark.parametrize("what", FAILURES)
def test_what_fails_a_test(run: Callable[..., Any], what: str):
    """Errors that reach the exception handler fail the test, as do tasks that are left; the next test is not touched."""
    code, line = FAILURES[what]
    result = run(f"""
        async def fail():
            1 / 0

        def test_it(qtinter_runner):
            {code}

        def test_next(qtinter_runner):
            exec_for(0)
    """)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*::test_it FAILED*", line])


def test_what_does_not_fail_a_test(run: Callable[..., Any]):
    """Tasks that were cancelled, tasks that have something to do still, and errors that the test handles."""
    result = run("""
        def test_cancelled(qtinter_runner):
            asyncio.get_running_loop().create_task(asyncio.sleep(60)).cancel()

        def test_nearly_done(qtinter_runner):
            asyncio.get_running_loop().create_task(asyncio.sleep(0))

        def test_handled(qtinter_runner):
            seen = []
            loop = qtinter_runner.get_loop()
            loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
            loop.call_soon(lambda: 1 / 0)
            exec_for(20)
            assert type(seen[0]) is ZeroDivisionError
    """)
    result.assert_outcomes(passed=3)


def test_errors_of_clean_up(run: Callable[..., Any]):
    """What fails while the runner closes is an error of the test's teardown."""
    result = run("""
        def test_it(qtinter_runner):
            async def fail():
                try:
                    await asyncio.sleep(60)
                finally:
                    1 / 0
            asyncio.get_running_loop().create_task(fail())
            exec_for(0)
    """)
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "ZeroDivisionError: *"])


def test_a_failing_test(run: Callable[..., Any]):
    """The failure of the test itself is what is reported, and its tasks are cancelled."""
    result = run("""
        def test_it(qtinter_runner):
            asyncio.get_running_loop().create_task(asyncio.sleep(60))
            assert 2 == 3
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *assert 2 == 3"])


def test_runner_in_a_coroutine_function(pytester: pytest.Pytester, run: Callable[..., Any]):
    """The runner refuses to take part in a test that is a coroutine function."""
    result = run("""
        async def test_it(qtinter_runner):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["qtinter_runner is for synchronous tests; *"])
