"""pytest plugin for asynchronous Qt code. It does nothing in a run that does not ask for it.

    @pytest.mark.asyncio(loop_factories=["qt"])  The test runs on a Qt-backed loop. "asyncio" names
                                                 asyncio's own. Needs pytest-asyncio 1.4 or later.
    qtinter_loop_by_default = true               In the configuration file: so do all tests of
                                                 pytest-asyncio that name no loop factories.
    qtinter_runner                               Fixture: an attached runner, for synchronous tests.
    qtinter_app                                  Fixture: the application object.

With anyio, Qt-backed loops need nothing but a fixture of yours:

    @pytest.fixture(scope="session")
    def anyio_backend(qtinter_app):
        return "asyncio", {"loop_factory": qtinter.new_event_loop}

pytest imports its plugins in every run. So this module is outside the package, which would import
asyncio, and everything that it needs is imported when it is needed.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    import asyncio

    import qtinter

# How long a test may take to clean up what it should not have left behind.
SHUTDOWN_TIMEOUT = 5  # seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what can be configured."""
    parser.addini(
        "qtinter_loop_by_default",
        "run the tests of pytest-asyncio on Qt-backed loops, unless they name loop factories",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Offer loop factories to pytest-asyncio, if it is there."""
    by_default = config.getini("qtinter_loop_by_default")
    if hasattr(config.hook, "pytest_asyncio_loop_factories"):
        config.pluginmanager.register(_Offer(config.pluginmanager, by_default=by_default))
    elif by_default:
        config.issue_config_time_warning(
            pytest.PytestConfigWarning(
                "qtinter_loop_by_default does nothing: it needs pytest-asyncio 1.4 or later"
            ),
            stacklevel=2,
        )


# The application object.


_applications: list[Any] = []  # Kept to the end: Qt cannot do without.


@pytest.fixture(scope="session")
def qtinter_app(request: pytest.FixtureRequest) -> Any:
    """The application object: that of the fixture `qapp`, pytest-qt's or your own, if there is one.

    Otherwise the one that exists, else a new QApplication, or a QCoreApplication where there are no
    widgets. Override it for another class.
    """
    try:
        return request.getfixturevalue("qapp")
    except pytest.FixtureLookupError as error:
        if error.argname != "qapp":
            raise
    from qtinter import _qt

    if not _qt.has_application():
        kind = _qt.QtCore.QCoreApplication
        with contextlib.suppress(ImportError):
            # Not that of qtpy, which changes the enums of PyQt6 that the tested program uses.
            binding = _qt.QtCore.__name__.partition(".")[0]
            kind = importlib.import_module(f"{binding}.QtWidgets").QApplication
        _applications.append(kind(["pytest"]))
    return _qt.application()


# pytest-asyncio.


def _named_factories(item: pytest.Item) -> Sequence[str] | None:
    """The loop factories that the marker of a test names."""
    marker = item.get_closest_marker("asyncio")
    return None if marker is None else marker.kwargs.get("loop_factories")


class _Offer:
    """Gives pytest-asyncio the loop factories, for those tests that want Qt-backed loops.

    Once some plugin provides factories, pytest-asyncio wants them for every test. So `_Factories`
    is registered only while a test is collected that asks for "qt". It is registered again for the
    run if there was one, as fixtures that outlive a test are then renewed when the loop changes.
    """

    def __init__(self, plugins: pytest.PytestPluginManager, *, by_default: bool) -> None:
        self._plugins = plugins
        self._factories = _Factories(by_default=by_default)
        self._is_asked_for = by_default
        if by_default:
            plugins.register(self._factories)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> Generator[None]:
        names = _named_factories(metafunc.definition)
        if self._plugins.is_registered(self._factories) or not names or "qt" not in names:
            return (yield)
        self._is_asked_for = True
        self._plugins.register(self._factories)
        try:
            return (yield)
        finally:
            self._plugins.unregister(self._factories)

    def pytest_collection_finish(self) -> None:
        if self._is_asked_for and not self._plugins.is_registered(self._factories):
            self._plugins.register(self._factories)


class _Factories:
    """The loop factories, beside those of other plugins and of conftest.py."""

    def __init__(self, *, by_default: bool) -> None:
        self._by_default = by_default

    @pytest.hookimpl(wrapper=True)
    def pytest_asyncio_loop_factories(
        self, item: pytest.Item
    ) -> Generator[None, Mapping[str, Any] | None, Mapping[str, Any]]:
        import asyncio

        others = yield
        if _named_factories(item) is None:
            return {"qt": _new_loop}
        return {"asyncio": asyncio.new_event_loop, **(others or {}), "qt": _new_loop}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.get_closest_marker("asyncio") is None:
            return
        names = _named_factories(item)
        if self._by_default if names is None else "qt" in names:
            # Before the loop is made, which needs it.
            item.fixturenames.insert(0, "qtinter_app")  # type: ignore[attr-defined]


def _new_loop() -> asyncio.AbstractEventLoop:
    import qtinter

    return qtinter.new_event_loop()


# Synchronous tests.


@pytest.fixture
def qtinter_runner(qtinter_app: Any, request: pytest.FixtureRequest) -> Iterator[qtinter.QiRunner]:
    """An attached runner: asyncio makes progress whenever the test lets Qt work, by qtbot.waitUntil() for example.

    What reaches the exception handler of its loop fails the test, as do tasks that are not done at
    the end. To expect errors, give the loop a handler of your own.
    """
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        pytest.fail(
            "qtinter_runner is for synchronous tests; this one is a coroutine function, whose "
            "loop it would replace: use asyncio.get_running_loop() instead",
            pytrace=False,
        )
    import qtinter

    plugins = request.config.pluginmanager
    with qtinter.QiRunner(shutdown_timeout=SHUTDOWN_TIMEOUT) as runner:
        watch = _Watch(runner.get_loop(), qtinter_app.processEvents)
        plugins.register(watch)
        try:
            yield runner
        finally:
            plugins.unregister(watch)
    watch.fail_for(watch.reports)


class _Watch:
    """Sees what goes wrong in the loop of one test."""

    def __init__(self, loop: asyncio.AbstractEventLoop, let_qt_work: Callable[[], object]) -> None:
        self.reports: list[str] = []
        self._loop = loop
        self._let_qt_work = let_qt_work
        loop.set_exception_handler(self._keep)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None]:
        result = yield
        leaked = [f"The test leaves a task behind: {task!r}" for task in self._leaked_tasks()]
        reports, self.reports = self.reports, []
        self.fail_for(reports + leaked)
        return result

    def fail_for(self, troubles: Sequence[str]) -> None:
        """Fail the test if there are any."""
        if troubles:
            pytest.fail("\n\n".join(troubles), pytrace=False)

    def _keep(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = context.get("message", "unhandled exception")
        lines = [f"An error has reached the exception handler of the event loop: {message}"]
        lines += [
            f"{name}: {value!r}"
            for name, value in context.items()
            if name not in ("message", "exception")
        ]
        if error is not None:
            lines += traceback.format_exception(type(error), error, error.__traceback__)
        self.reports.append("\n".join(line.rstrip("\n") for line in lines))

    def _leaked_tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks that do not end by themselves at once. Reports errors that nobody has asked for."""
        import asyncio
        import gc

        for _ in range(10):  # A task that was cancelled takes a few iterations to end.
            if not asyncio.all_tasks(self._loop):
                break
            self._let_qt_work()
        gc.collect()
        return asyncio.all_tasks(self._loop)
