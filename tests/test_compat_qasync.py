"""Programs written for qasync, with one changed import. The whole ones are written as its users write them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import signal
import sys
import threading
from typing import Any, Callable

import pytest
from harness import end_program, exec_for, exec_until, output_of, run_program, start_program
from qtpy import QtCore, QtWidgets

from qtinter import QiBaseEventLoop
from qtinter.compat import qasync
from qtinter.compat.qasync import (
    QEventLoop,
    QThreadExecutor,
    asyncClose,
    asyncSlot,
    asyncWrap,
)

PRELUDE = """
import asyncio, functools, sys
from qtpy import QtCore, QtGui, QtWidgets
from qtinter.compat import qasync
from qtinter.compat.qasync import QEventLoop, QThreadExecutor, asyncClose, asyncSlot, asyncWrap, run
def say(*words):
    print(*words, flush=True)
"""

needs_loop_factory = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="asyncio.run() has a loop_factory since Python 3.12"
)


@pytest.fixture(autouse=True)
def _runtime_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Qt 5 misses it on a machine without a desktop, and says so."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def loop(qapp: Any) -> Any:
    """A loop as most programs make it."""
    with QEventLoop(qapp) as loop:
        yield loop


@pytest.fixture
def excepthook(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What sys.excepthook is called with."""
    errors: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, traceback: errors.append(error))
    return errors


# Whole programs.


def test_window_that_is_closed():
    """`with loop: loop.run_forever()` ends when the last window is closed; then tasks clean up."""
    assert output_of(
        """
        class Window(QtWidgets.QWidget):
            def __init__(self):
                super().__init__()
                self.button = QtWidgets.QPushButton("Start", self)
                self.button.clicked.connect(self.start)

            @asyncSlot()
            async def start(self):
                say("started")
                try:
                    await asyncio.sleep(0.01)
                    say("slept")
                    QtCore.QTimer.singleShot(0, self.close)
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0.01)
                    say("cleaned up")

        app = QtWidgets.QApplication(sys.argv)
        loop = QEventLoop(app)
        asyncio.set_event_loop(loop)
        app.aboutToQuit.connect(lambda: say("about to quit"))
        window = Window()
        window.show()
        QtCore.QTimer.singleShot(0, window.button.click)
        with loop:
            code = loop.run_forever()
        say("ended", code, loop.is_closed())
        asyncio.set_event_loop(None)
        """,
        prelude=PRELUDE,
        options=("-W", "ignore::DeprecationWarning"),  # Of event loop policies, on 3.14.
    ) == ["started", "slept", "about to quit", "cleaned up", "ended 0 True"]


@needs_loop_factory
def test_event_that_the_application_sets():
    """`asyncio.run(event.wait(), loop_factory=QEventLoop)` goes on when `aboutToQuit` sets the event."""
    assert output_of(
        """
        async def main(closing):
            window = QtWidgets.QWidget()
            window.show()
            asyncio.get_running_loop().call_later(0.01, window.close)
            await closing.wait()
            await asyncio.sleep(0)
            await asyncio.gather(asyncio.sleep(0, "still"))
            return "done"

        app = QtWidgets.QApplication(sys.argv)
        closing = asyncio.Event()
        app.aboutToQuit.connect(closing.set)
        say(asyncio.run(main(closing), loop_factory=QEventLoop))
        """,
        prelude=PRELUDE,
    ) == ["done"]


def test_run():
    """run() makes a QApplication; a future that `aboutToQuit` cancels ends it, and it may be called again."""
    assert output_of(
        """
        async def main():
            app = QtWidgets.QApplication.instance()
            future = asyncio.get_running_loop().create_future()
            app.aboutToQuit.connect(future.cancel)
            QtCore.QTimer.singleShot(10, app.quit)
            await future

        try:
            run(main())
        except asyncio.CancelledError:
            say("cancelled")
        say(run(asyncio.sleep(0.01, "result"), debug=True))
        """,
        prelude=PRELUDE,
    ) == ["cancelled", "result"]


def test_application_that_quits_first():
    """If the application quits while main waits, run() raises RuntimeError, and main has cleaned up."""
    assert output_of(
        """
        async def main():
            asyncio.get_running_loop().call_later(0.01, app.exit, 3)
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                say("cleaned up")

        app = QtWidgets.QApplication(sys.argv)
        try:
            run(main())
        except RuntimeError as error:
            say(error)
        """,
        prelude=PRELUDE,
    ) == ["cleaned up", "Event loop stopped before Future completed."]


def test_slots_of_designer():
    """`@asyncSlot()` registers a slot, so that connectSlotsByName finds it."""
    assert output_of(
        """
        class Window(QtWidgets.QWidget):
            def __init__(self):
                super().__init__()
                button = QtWidgets.QPushButton(self)
                button.setObjectName("button")
                line = QtWidgets.QLineEdit(self)
                line.setObjectName("line")
                QtCore.QMetaObject.connectSlotsByName(self)
                self.button, self.line = button, line

            @asyncSlot()
            async def on_button_clicked(self):
                say("clicked")

            @asyncSlot(str)
            async def on_line_textChanged(self, text):
                say("text", text)

        async def main():
            window = Window()
            window.button.click()
            window.line.setText("hello")
            await asyncio.sleep(0.01)

        app = QtWidgets.QApplication(sys.argv)
        run(main())
        """,
        prelude=PRELUDE,
    ) == ["clicked", "text hello"]


def test_attached_to_a_running_application():
    """`already_running=True` lets asyncio run in an application that runs, until close(), where tasks clean up."""
    assert output_of(
        """
        async def work():
            try:
                await asyncio.sleep(0.01)
                say("works")
                app.exit(5)
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                say("cleaned up")

        def start():
            global loop, task
            loop = QEventLoop(app, already_running=True)
            say(loop.is_running(), asyncio.get_running_loop() is loop)
            task = asyncio.ensure_future(work())

        app = QtWidgets.QApplication(sys.argv)
        QtCore.QTimer.singleShot(0, start)
        say(app.exec_())
        loop.stop()
        loop.close()
        say(task.cancelled(), loop.is_closed())
        """,
        prelude=PRELUDE,
    ) == ["True True", "works", "5", "cleaned up", "True True"]


@pytest.mark.skipif(sys.platform == "win32", reason="nobody else can send SIGINT to one process")
def test_ctrl_c():
    """Ctrl-C ends run() while Qt is idle; main is cleaned up."""
    process = start_program(
        """
        async def main():
            try:
                say("interrupt me")
                await asyncio.sleep(60)
            finally:
                say("cleaned up")

        app = QtWidgets.QApplication(sys.argv)
        run(main())
        """,
        prelude=PRELUDE,
    )
    assert process.stdout.readline() == "interrupt me\n"
    process.send_signal(signal.SIGINT)
    ended = end_program(process)
    assert ended.lines == ["cleaned up"]
    assert ended.errors.splitlines()[-1] == "KeyboardInterrupt"


def test_loop_that_is_forgotten():
    """A program may end without closing a loop that was already running: its tasks clean up all the same."""
    ended = run_program(
        """
        async def work():
            try:
                await asyncio.sleep(60)
            finally:
                say("cleaned up")

        app = QtWidgets.QApplication(sys.argv)
        loop = QEventLoop(app, already_running=True)
        task = loop.create_task(work())
        QtCore.QTimer.singleShot(10, app.quit)
        app.exec_()
        """,
        prelude=PRELUDE,
    )
    assert (ended.code, ended.lines, ended.errors) == (0, ["cleaned up"], "")


# Loops.


def test_kinds_of_loops(loop: Any):
    """A QEventLoop is a loop of asyncio and of qtinter; its other names are those of qasync."""
    assert isinstance(loop, (asyncio.SelectorEventLoop, getattr(asyncio, "ProactorEventLoop", ())))
    assert isinstance(loop, QiBaseEventLoop)
    assert issubclass(qasync.QSelectorEventLoop, asyncio.SelectorEventLoop)
    assert hasattr(qasync, "QIOCPEventLoop") == (sys.platform == "win32")
    assert isinstance(loop, QEventLoop)


def test_arguments(qapp: Any):
    """All arguments are optional, and `set_running_loop` does nothing."""
    for loop in (QEventLoop(), QEventLoop(None, True), QEventLoop(app=qapp, set_running_loop=True)):
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        assert not loop.is_running()
        loop.close()


def test_results(loop: Any):
    """run_until_complete() returns what the coroutine returns and raises what it raises, as often as it is called."""

    async def fail() -> None:
        raise ValueError("mine")

    assert loop.run_until_complete(asyncio.sleep(0.01, 1)) == 1
    with pytest.raises(ValueError, match="mine"):
        loop.run_until_complete(fail())
    assert loop.run_until_complete(asyncio.sleep(0, 2)) == 2


def test_run_forever_executes_the_application(qapp: Any, loop: Any):
    """QCoreApplication.exit() ends run_forever(), which returns its code; the next run is a new one."""
    for code in (3, 0):
        QtCore.QTimer.singleShot(0, lambda code=code: qapp.exit(code))
        assert loop.run_forever() == code
    loop.call_later(0.01, loop.stop)
    assert loop.run_forever() == 0


def test_stop_before_run(loop: Any):
    """stop() before a run ends it after one iteration, as in asyncio."""
    log: list[int] = []
    loop.call_soon(log.append, 1)
    loop.stop()
    loop.run_forever()
    assert log == [1]


def test_about_to_quit(qapp: Any, loop: Any):
    """Every run emits aboutToQuit once, when it ends; the end of the `with` statement does not."""
    emissions: list[int] = []
    count = lambda: emissions.append(1)  # noqa: E731
    qapp.aboutToQuit.connect(count)
    try:
        loop.run_until_complete(asyncio.sleep(0))
        assert emissions == [1]
        QtCore.QTimer.singleShot(0, qapp.quit)
        loop.run_forever()
        assert emissions == [1, 1]
        loop.__exit__()
        assert loop.is_closed()
        assert emissions == [1, 1]
    finally:
        qapp.aboutToQuit.disconnect(count)


def test_run_inside_qt(qapp: Any):
    """While Qt runs already, a run executes a loop of its own, and the application goes on after it."""
    log: list[Any] = []

    def slot() -> None:
        with QEventLoop(qapp) as loop:
            log.append(loop.run_until_complete(asyncio.sleep(0.01, "inner")))
        QtCore.QTimer.singleShot(10, lambda: log.append("outer"))

    QtCore.QTimer.singleShot(0, slot)
    exec_until(lambda: "outer" in log)
    assert log == ["inner", "outer"]


def test_run_in_a_thread(qapp: Any):
    """In another thread, a run executes that thread's loop only."""
    log: list[Any] = []

    def work() -> None:
        with QEventLoop(qapp) as loop:
            log.append(loop.run_until_complete(asyncio.sleep(0.01, "result")))

    thread = threading.Thread(target=work)
    thread.start()
    exec_for(0.05)
    thread.join(5)
    assert log == ["result"]


def test_attached(qapp: Any):
    """A loop that was already running refuses to run again, and is the running one until close()."""
    loop = QEventLoop(qapp, already_running=True)
    try:
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()
        task = loop.create_task(asyncio.sleep(0.01, "result"))
        exec_until(task.done)
        assert task.result() == "result"
        assert asyncio.get_running_loop() is loop
    finally:
        loop.close()
    loop.close()
    assert loop.is_closed()


def test_attached_in_a_with_statement(qapp: Any):
    """The `with` statement closes a loop that was already running, too."""
    with QEventLoop(qapp, already_running=True) as loop:
        exec_until(loop.create_task(asyncio.sleep(0)).done)
    assert loop.is_closed()


def test_policy(qapp: Any):
    """The policy makes QEventLoops."""
    loop = qasync.DefaultQEventLoopPolicy().new_event_loop()
    assert isinstance(loop, QEventLoop)
    loop.close()


@pytest.mark.linux_only
def test_no_application():
    """A loop without an application object is an error that says what to do."""
    ended = run_program("QEventLoop()", prelude=PRELUDE)
    assert ended.errors.splitlines()[-1].startswith("RuntimeError: QEventLoop needs an application")


def test_names_of_the_binding():
    """What qasync exports of the binding is there; other names are not."""
    assert qasync.QApplication is QtWidgets.QApplication
    assert qasync.QtWidgets.QWidget is QtWidgets.QWidget
    assert qasync.QtCore.QObject is QtCore.QObject
    assert qasync.QtModuleName == QtCore.QObject.__module__.partition(".")[0]
    assert qasync.Slot is QtCore.Slot
    with pytest.raises(AttributeError, match="nothing"):
        qasync.nothing  # noqa: B018


# Slots.


class Sender(QtCore.QObject):
    """Signals."""

    nothing = QtCore.Signal()
    number = QtCore.Signal(int)
    both = QtCore.Signal(int, str)


class Receiver(QtCore.QObject):
    """Slots."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Any] = []

    @asyncSlot()
    async def without(self) -> str:
        self.log.append("without")
        return "result"

    @asyncSlot(int)
    async def with_one(self, number: int) -> None:
        self.log.append(number)

    @asyncSlot(int, str)
    async def with_two(self, number: int, text: str) -> None:
        await asyncio.sleep(0)
        self.log.append((number, text))

    @asyncSlot()
    async def failing(self) -> None:
        raise ValueError("mine")


def test_slots(loop: Any):
    """A slot takes as many arguments as it has parameters, and returns a task."""
    sender, receiver = Sender(), Receiver()
    sender.nothing.connect(receiver.without)
    sender.number.connect(receiver.without)
    sender.number.connect(receiver.with_one)
    sender.both.connect(receiver.with_two)

    async def main() -> None:
        sender.nothing.emit()
        sender.number.emit(3)
        sender.both.emit(4, "x")
        assert receiver.log == []  # They begin in the next iteration.
        await asyncio.sleep(0.01)
        assert receiver.log == ["without", "without", 3, (4, "x")]
        assert await receiver.without() == "result"

    loop.run_until_complete(main())


def test_functions_as_slots(loop: Any):
    """Functions without parameters, bound methods and lambdas can be slots."""
    sender, log = Sender(), []

    class Plain:
        async def method(self, number: int) -> None:
            log.append(number)

    @asyncSlot()
    async def function() -> None:
        log.append("function")

    plain = Plain()
    sender.number.connect(function)
    sender.number.connect(asyncSlot()(plain.method))

    async def main() -> None:
        sender.number.emit(3)
        gc.collect()
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    assert log == ["function", 3]


def test_errors_of_slots(loop: Any, excepthook: list[BaseException]):
    """Exceptions go to sys.excepthook, once; cancellation is silent."""
    sender, receiver = Sender(), Receiver()
    sender.nothing.connect(receiver.failing)

    async def main() -> None:
        sender.nothing.emit()
        receiver.without().cancel()
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    assert [repr(error) for error in excepthook] == ["ValueError('mine')"]


def test_slots_before_the_run(loop: Any, excepthook: list[BaseException]):
    """A slot that is called before the loop runs begins when it does."""
    sender, receiver = Sender(), Receiver()
    sender.number.connect(receiver.with_one)
    sender.number.emit(3)
    task = receiver.without()
    failing = receiver.failing()
    assert receiver.log == []
    assert loop.run_until_complete(task) == "result"
    loop.run_until_complete(asyncio.sleep(0.01))
    assert receiver.log == [3, "without"]
    assert failing.done()
    assert [repr(error) for error in excepthook] == ["ValueError('mine')"]


def test_slots_without_a_loop():
    """Without a loop, a slot says what it needs."""
    with pytest.raises(RuntimeError, match="needs a running Qt-backed event loop"):
        Receiver().without()


# Closing.


class Window(QtWidgets.QWidget):
    """A window that is asked before it closes."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        super().__init__()
        self.log: list[str] = []
        self.work = work

    @asyncClose
    async def closeEvent(self, event: Any) -> None:
        self.log.append("asked")
        await self.work(event)
        self.log.append("answered")

    @asyncClose
    async def shut_down(self) -> None:
        self.log.append("shutting down")
        await self.work(None)
        self.log.append("shut down")


def test_close(loop: Any):
    """A window closes when the coroutine is done, which may quit the application; meanwhile everything else goes on."""
    window = Window(lambda event: asyncio.sleep(0.02))

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.005)
            window.log.append(".")

    ticking = loop.create_task(tick())
    window.show()
    loop.call_soon(window.close)
    assert loop.run_forever() == 0
    assert not window.isVisible()
    assert window.log[0] == "asked"
    assert window.log.index("answered") > 1
    assert not ticking.done()


def test_close_is_refused(loop: Any):
    """The coroutine may refuse, also after it has waited."""

    async def refuse(event: Any) -> None:
        await asyncio.sleep(0)
        event.ignore()

    window = Window(refuse)

    async def main() -> None:
        window.show()
        window.close()
        await asyncio.sleep(0.02)
        assert window.isVisible()
        window.hide()

    loop.run_until_complete(main())
    assert window.log == ["asked", "answered"]


def test_close_of_other_functions(loop: Any, excepthook: list[BaseException]):
    """A function that takes no event returns when its coroutine is done; other tasks go on, errors are reported."""
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    async def fail(_: Any) -> None:
        raise ValueError("mine")

    async def main() -> None:
        ticking = asyncio.ensure_future(tick())
        window = Window(lambda event: asyncio.sleep(0.02))
        window.shut_down()
        assert window.log == ["shutting down", "shut down"]
        assert len(ticks) > 2
        Window(fail).shut_down()
        ticking.cancel()

    loop.run_until_complete(main())
    assert [repr(error) for error in excepthook] == ["ValueError('mine')"]


def test_close_when_the_application_quits(qapp: Any, loop: Any):
    """A slot of aboutToQuit that is made so finishes before the run ends."""
    window = Window(lambda event: asyncio.sleep(0.02))
    qapp.aboutToQuit.connect(window.shut_down)
    try:
        QtCore.QTimer.singleShot(0, qapp.quit)
        loop.run_forever()
    finally:
        qapp.aboutToQuit.disconnect(window.shut_down)
    assert window.log == ["shutting down", "shut down"]


# Dialogs and threads.


def test_wrap(loop: Any):
    """A modal dialog is awaited; other tasks go on; arguments, results and exceptions are passed."""

    async def answer(dialog: Any) -> None:
        while not dialog.isVisible():
            await asyncio.sleep(0.001)
        dialog.done(7)

    async def main() -> None:
        dialog = QtWidgets.QDialog()
        answering = asyncio.ensure_future(answer(dialog))
        assert await asyncWrap(dialog.exec_) == 7
        await answering
        assert await asyncWrap(int, "11", base=2) == 3
        with pytest.raises(ZeroDivisionError):
            await asyncWrap(lambda: 1 / 0)

    loop.run_until_complete(main())


def test_executor(loop: Any):
    """A QThreadExecutor is an executor, for itself and for run_in_executor()."""
    with QThreadExecutor(3) as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        assert executor.submit(pow, 2, 5).result(5) == 32
        assert list(executor.map(abs, [-1, 2])) == [1, 2]
        result = loop.run_until_complete(loop.run_in_executor(executor, threading.get_ident))
        assert result != threading.get_ident()
    executor.shutdown()


def test_executor_with_large_stacks(qapp: Any):
    """`stack_size` is that of its threads only."""
    before = threading.stack_size()
    with QThreadExecutor(max_workers=1, stack_size=1 << 20) as executor:
        assert executor.submit(lambda: 1).result(5) == 1
        assert threading.stack_size() == before
    with pytest.raises(ValueError, match="size"):
        QThreadExecutor(1, 5).submit(int)


def test_default_executor(loop: Any):
    """Any executor can be the default one; what is none cannot. The end of the loop shuts it down."""
    executor = QThreadExecutor(1)
    loop.set_default_executor(executor)
    name = loop.run_until_complete(
        loop.run_in_executor(None, lambda: threading.current_thread().name)
    )
    assert name.startswith("QThreadExecutor")
    loop.__exit__()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio looks at it since Python 3.11")
def test_what_is_no_executor(loop: Any):
    """The default executor must be an Executor."""
    with pytest.raises(TypeError):
        loop.set_default_executor("x")
