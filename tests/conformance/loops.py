"""Put our loops in the place of asyncio's own, and count what is built of both.

`asyncio.SelectorEventLoop()`, `new_event_loop`, `run`, `Runner` and the policies all take their loops
from a handful of names in asyncio's modules. Each name that stands for asyncio's selector or
proactor loop gets ours instead, before the first test is imported. Our loops are subclasses of those,
so what asyncio calls itself is not touched.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
from typing import Any

from qtpy import QtCore

import qtinter

if sys.platform == "win32":
    PLAIN = (asyncio.SelectorEventLoop, asyncio.ProactorEventLoop)
    WAYS = ("thread",)  # IOCP and select() are both waited for in a thread.
else:
    PLAIN = (asyncio.SelectorEventLoop,)
    WAYS = ("notifier", "thread", "attached")


class Census:
    """What this process has built and run.

    Attributes:
        built: selector and proactor loops.
        ours: those of them that are Qt-backed.
        iterations: calls of asyncio's own `_run_once` by these loops.
        our_iterations: those by Qt-backed ones.
        attached: attached runs.
    """

    def __init__(self) -> None:
        self.built = self.ours = self.iterations = self.our_iterations = self.attached = 0
        for plain in PLAIN:
            self._count_built(plain)
        self._count_iterations()
        self._count_attached()

    def _count_built(self, plain: Any) -> None:
        init = plain.__init__

        def counted(loop: Any, *args: Any, **keywords: Any) -> None:
            self.built += 1
            self.ours += isinstance(loop, qtinter.QiBaseEventLoop)
            init(loop, *args, **keywords)

        plain.__init__ = counted

    def _count_iterations(self) -> None:
        run_once = asyncio.BaseEventLoop._run_once

        def counted(loop: Any) -> None:
            if isinstance(loop, PLAIN):
                self.iterations += 1
                self.our_iterations += isinstance(loop, qtinter.QiBaseEventLoop)
            run_once(loop)

        asyncio.BaseEventLoop._run_once = counted

    def _count_attached(self) -> None:
        attach = qtinter.QiBaseEventLoop.attach

        def counted(loop: Any, **keywords: Any) -> None:
            self.attached += 1
            attach(loop, **keywords)

        qtinter.QiBaseEventLoop.attach = counted


def substitute(way: str, module: str) -> None:
    """Make asyncio build our loops; `way` is one of WAYS, or "plain" to leave everything alone.

    The tests of asyncio.Runner get it as it is, whatever the way.
    """
    if way == "plain":
        return
    replacements = {asyncio.SelectorEventLoop: _selector_loop(way)}
    if sys.platform == "win32":
        replacements[asyncio.ProactorEventLoop] = qtinter.QiProactorEventLoop
    modules = [m for name, m in sys.modules.items() if name.partition(".")[0] == "asyncio"]
    for holder in modules + [c for m in modules for c in vars(m).values() if isinstance(c, type)]:
        for name, value in list(vars(holder).items()):
            if isinstance(value, type) and value in replacements:
                setattr(holder, name, replacements[value])
    if way == "attached" and not module.endswith(".test_runners"):
        _run_attached()


def _selector_loop(way: str) -> type[qtinter.QiSelectorEventLoop]:
    if way == "thread":
        return ThreadPolledEventLoop
    return AttachedEventLoop if way == "attached" else qtinter.QiSelectorEventLoop


class ThreadPolledEventLoop(qtinter.QiSelectorEventLoop):
    """A loop whose selector has no fd of its own, unless the test chooses one that has."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        # Windows has no poll().
        default = getattr(selectors, "PollSelector", selectors.SelectSelector)
        super().__init__(selector or default())


class AttachedEventLoop(qtinter.QiSelectorEventLoop):
    """A loop that runs in the main thread while the application executes Qt's own loop."""

    def run_forever(self) -> None:
        if not _is_main_thread():
            super().run_forever()
            return
        self.attach()
        try:
            _execute()
        finally:
            error = self.detach()
        if error is not None:
            raise error


class AttachedRunner:
    """What asyncio.Runner is for tests, on top of a QiRunner."""

    def __init__(self, *, debug: bool | None = None, loop_factory: Any = None) -> None:
        factory = loop_factory or qtinter.new_event_loop
        self._runner = qtinter.QiRunner(debug=debug, loop_factory=factory)
        self._is_open = False

    def __enter__(self) -> AttachedRunner:
        self.get_loop()
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, which runs from now on."""
        if not self._is_open:
            self._is_open = True
            self._runner.start()
        return self._runner.get_loop()

    def run(self, coro: Any, **keywords: Any) -> Any:
        """Execute Qt's loop until the coroutine is done."""
        task = self.get_loop().create_task(coro, **keywords)
        task.add_done_callback(lambda _: QtCore.QCoreApplication.exit())
        _execute()
        if not task.done():
            self.close()  # Raises what ended the run.
        return task.result()

    def close(self) -> None:
        """End the run."""
        self._runner.close()


def _run_attached() -> None:
    """Let asyncio.run() and IsolatedAsyncioTestCase use a QiRunner, in the main thread.

    The latter makes a loop of its own before Python 3.11.
    """
    plain_run, plain_runner = asyncio.run, getattr(asyncio, "Runner", None)

    def run(main: Any, **keywords: Any) -> Any:
        if not _is_main_thread():
            return plain_run(main, **keywords)
        with AttachedRunner(**keywords) as runner:
            return runner.run(main)

    def make_runner(**keywords: Any) -> Any:
        return (AttachedRunner if _is_main_thread() else plain_runner)(**keywords)

    asyncio.run = asyncio.runners.run = run
    if sys.version_info >= (3, 11):
        asyncio.Runner = make_runner


def _is_main_thread() -> bool:
    """Tell whether this thread can execute the application."""
    return threading.current_thread() is threading.main_thread()


def _execute() -> None:
    QtCore.QCoreApplication.instance().exec_()
