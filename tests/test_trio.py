"""trio as a guest of Qt: runs, how they begin and end, and what goes on meanwhile."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from typing import Any, Callable

import pytest
from harness import exec_for, exec_until, output_of
from qtpy import QtCore

import qtinter

trio = pytest.importorskip("trio")
testing = pytest.importorskip("trio.testing")
sniffio = pytest.importorskip("sniffio")
run = pytest.importorskip("qtinter.trio").run
using_trio_from_qt = pytest.importorskip("qtinter.trio").using_trio_from_qt

SHORT = 0.005


def after(seconds: float, function: Callable[[], Any]) -> None:
    """Have Qt call a function."""
    QtCore.QTimer.singleShot(round(seconds * 1000), function)


def qt_timer(seconds: float) -> Any:
    """A Qt timer that runs, to wait for."""
    timer = QtCore.QTimer()
    timer.setSingleShot(True)
    timer.start(round(seconds * 1000))
    return timer


def nested_until(condition: Callable[[], object]) -> None:
    """Execute a nested Qt loop until `condition()`."""
    loop, deadline = QtCore.QEventLoop(), time.monotonic() + 10
    timer = QtCore.QTimer()
    timer.timeout.connect(
        lambda: loop.quit() if condition() or time.monotonic() > deadline else None
    )
    timer.start(2)
    loop.exec_()
    timer.stop()
    assert condition()


async def clean_up(log: list[Any]) -> None:
    """What needs trio and Qt, and must not be cancelled."""
    with trio.CancelScope(shield=True):
        await trio.sleep(SHORT)
        timer = qt_timer(SHORT)
        await qtinter.asyncsignal(timer.timeout)
    log.append("cleaned up")


async def wait(log: list[Any]) -> None:
    """Wait until cancelled, then clean up."""
    try:
        await trio.sleep_forever()
    finally:
        await clean_up(log)


# run()


def test_result(qapp: Any) -> None:
    """run() gives the main function its arguments, and returns its result."""

    async def main(a: int, b: int) -> int:
        await trio.sleep(SHORT)
        return a + b

    assert run(main, 1, 2) == 3


def test_one_after_the_other(qapp: Any) -> None:
    """Any number of runs may follow each other, whatever ended the one before."""

    async def main(how: str) -> str:
        if how == "error":
            raise ValueError("mine")
        if how == "quit":
            after(0, qapp.quit)
            await trio.sleep_forever()
        await trio.sleep(0)
        return how

    for _ in range(3):
        assert run(main, "result") == "result"
        assert run(main, "quit") is None
        with pytest.raises(ValueError, match="mine"):
            run(main, "error")


def test_exceptions_come_as_they_are(qapp: Any) -> None:
    """What the main function raises is raised by run(), in no exception group; slots that end then are cancelled."""
    log: list[Any] = []

    @qtinter.asyncslot
    async def slot() -> None:
        await wait(log)

    async def main() -> None:
        slot()
        await trio.sleep(SHORT)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main)
    assert log == ["cleaned up"]


def test_internal_error(qapp: Any) -> None:
    """What goes wrong inside trio itself, because of a broken clock, say, is raised by run() as by trio.run()."""

    class Clock(trio.abc.Clock):  # type: ignore[misc, name-defined]
        def start_clock(self) -> None:
            pass

        def current_time(self) -> float:
            return 0

        def deadline_to_sleep_time(self, deadline: float) -> float:
            raise ValueError("broken")

    with pytest.raises(trio.TrioInternalError):
        run(trio.sleep, 1, clock=Clock())
    assert run(trio.sleep, 0) is None


def test_quit_cancels(qapp: Any) -> None:
    """app.quit() cancels the main function, which may await trio and Qt while it cleans up; run() returns None."""
    log: list[Any] = []
    after(SHORT, qapp.quit)
    assert run(wait, log) is None
    assert log == ["cleaned up"]


def test_quit_during_the_clean_up(qapp: Any) -> None:
    """Further calls of quit() and exit() do not disturb the clean-up."""
    log: list[Any] = []

    async def main() -> None:
        try:
            await trio.sleep_forever()
        finally:
            after(0, qapp.quit)
            after(0.001, lambda: qapp.exit(3))
            await clean_up(log)

    after(SHORT, qapp.quit)
    assert run(main) is None
    assert log == ["cleaned up"]


def test_exit_code(qapp: Any) -> None:
    """app.exit(n) cancels the main function; then run() raises SystemExit(n)."""
    log: list[Any] = []
    after(SHORT, lambda: qapp.exit(7))
    with pytest.raises(SystemExit) as caught:
        run(wait, log)
    assert caught.value.code == 7
    assert log == ["cleaned up"]


def test_last_window(qapp: Any) -> None:
    """Closing the last window cancels the main function."""
    widgets = pytest.importorskip("qtpy.QtWidgets")
    log: list[Any] = []

    async def main() -> None:
        window = widgets.QWidget()
        window.show()
        after(SHORT, window.close)
        await wait(log)

    assert run(main) is None
    assert log == ["cleaned up"]


def test_result_in_spite_of_cancellation(qapp: Any) -> None:
    """A main function that does not let itself be cancelled returns its result."""

    async def main() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(4 * SHORT)
        return "result"

    after(SHORT, qapp.quit)
    assert run(main) == "result"


def test_in_a_slot(qapp: Any) -> None:
    """run() in a slot of a running application executes a nested loop, and leaves the application running."""
    results: list[Any] = []

    async def main() -> str:
        await trio.sleep(SHORT)
        return "result"

    def slot() -> None:
        results.extend([run(main), run(main)])
        after(SHORT, lambda: qapp.exit(5))

    after(0, slot)
    assert qapp.exec_() == 5
    assert results == ["result", "result"]


def test_quit_of_a_run_in_a_slot(qapp: Any) -> None:
    """If the application is left while a run in a slot goes on, it is cancelled first; the code is the application's."""
    log: list[Any] = []
    after(0, lambda: log.append(run(wait, log)))
    after(2 * SHORT, lambda: qapp.exit(5))
    assert qapp.exec_() == 5
    assert log == ["cleaned up", None]


def test_second_run(qapp: Any) -> None:
    """A second run in the same thread is a RuntimeError that says so, in a task and in a slot; the first goes on."""
    errors: list[Any] = []

    async def second() -> None:
        raise AssertionError

    def try_it() -> None:
        with pytest.raises(RuntimeError, match="one at a time") as caught:
            run(second)
        errors.append(caught.value)

    async def main() -> str:
        try_it()
        after(0, try_it)
        while len(errors) < 2:
            await trio.sleep(SHORT)
        return "result"

    assert run(main) == "result"


def test_inside_plain_trio(qapp: Any) -> None:
    """Inside a trio run that is not ours, run() is the same error, and adaptors say what is missing."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="one at a time"):
            run(trio.sleep, 0)
        with pytest.raises(RuntimeError, match=r"qtinter\.trio has not started"):
            qtinter.asyncsignal(qt_timer(0).timeout)

    trio.run(main)


def test_options(qapp: Any) -> None:
    """Options of start_guest_run are passed on: a mock clock, for example; unknown ones are a TypeError."""

    async def main() -> float:
        began = time.monotonic()
        await trio.sleep(1000)
        return time.monotonic() - began

    elapsed = run(main, clock=testing.MockClock(autojump_threshold=0))
    assert elapsed is not None
    assert elapsed < 10
    with pytest.raises(TypeError):
        run(main, colour="red")
    assert run(trio.sleep, 0) is None


def test_context(qapp: Any) -> None:
    """The main function runs in a copy of the context of run()."""
    variable = contextvars.ContextVar("variable", default="default")

    async def main() -> str:
        before = variable.get()
        variable.set("main")
        return before

    variable.set("caller")
    assert run(main) == "caller"
    assert variable.get() == "caller"


def test_without_an_application() -> None:
    """Without an application object, run() is a RuntimeError that says what to do, as is entering the attached mode."""
    lines = output_of("""
        import trio, qtinter.trio
        for begin in (lambda: qtinter.trio.run(trio.sleep, 0), qtinter.trio.using_trio_from_qt().start):
            try:
                begin()
            except RuntimeError as error:
                say(error)
    """)
    assert len(lines) == 2
    assert all("create a QCoreApplication" in line for line in lines)


def test_trio_is_optional() -> None:
    """`import qtinter` does not import trio, nor does running asyncio."""
    lines = output_of("""
        app = QtCore.QCoreApplication([])
        with qtinter.using_qt_from_asyncio():
            asyncio.run(asyncio.sleep(0))
        say("trio" in sys.modules, "sniffio" in sys.modules)
    """)
    assert lines == ["False False"]


def test_in_another_thread(qapp: Any) -> None:
    """run() works in a QThread, beside one in the main thread; quitting the thread cancels its main function."""
    log: list[Any] = []

    async def main() -> None:
        after(SHORT, QtCore.QThread.currentThread().quit)
        await wait(log)

    class Thread(QtCore.QThread):
        def run(self) -> None:
            log.append(run(trio.sleep, SHORT))
            log.append(run(main))

    async def outer() -> None:
        thread = Thread()
        finished = qtinter.asyncsignal(thread.finished)
        thread.start()
        await finished
        thread.wait()

    run(outer)
    assert log == [None, "cleaned up", None]


# Attached


def test_attached(qapp: Any) -> None:
    """The main function makes progress whenever the program executes Qt's loop, and is cancelled by the end of `with`."""
    log: list[Any] = []

    async def main() -> None:
        log.append("begun")
        await wait(log)

    with using_trio_from_qt(main) as runner:
        assert log == []
        exec_until(lambda: log)
        exec_for(SHORT)
        assert log == ["begun"]
    assert log == ["begun", "cleaned up"]
    assert runner.result() is None


def test_attached_main_returns(qapp: Any) -> None:
    """After the main function has returned, Qt and slots go on; its result is there."""
    log: list[Any] = []

    async def main(value: int) -> int:
        return value

    @qtinter.asyncslot
    async def slot() -> None:
        await trio.sleep(SHORT)
        log.append("slot")

    with using_trio_from_qt(main, 5) as runner:
        exec_until(lambda: runner.result() == 5)
        slot()
        exec_until(lambda: log)
    assert runner.result() == 5


def test_attached_without_main(qapp: Any) -> None:
    """Without a main function there are slots only; those called before Qt is executed are not lost."""
    log: list[Any] = []

    @qtinter.asyncslot
    async def slot(value: int) -> None:
        await trio.sleep(SHORT)
        log.append(value)

    with using_trio_from_qt():
        slot(1)
        exec_until(lambda: log == [1])
        after(0, lambda: slot(2))
        exec_until(lambda: log == [1, 2])


def test_attached_main_fails(qapp: Any) -> None:
    """If the main function fails, Qt is left, and `with` raises the exception."""

    async def main() -> None:
        await trio.sleep(SHORT)
        raise KeyError("mine")

    codes: list[int] = []
    with pytest.raises(KeyError, match="mine"), using_trio_from_qt(main):
        codes.append(qapp.exec_())
    assert codes == [0]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_attached_slot_ends_the_program(qapp: Any, kind: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt of a slot leave Qt, and are raised by `with` after the clean-up."""
    log: list[Any] = []

    @qtinter.asyncslot
    async def slot() -> None:
        await trio.sleep(SHORT)
        raise kind(3)

    after(SHORT, lambda: slot())
    with pytest.raises(kind), using_trio_from_qt(wait, log):
        qapp.exec_()
    assert log == ["cleaned up"]


def test_leaving_early(qapp: Any) -> None:
    """An exception in the body of `with` gets out after the main function was cancelled and has cleaned up."""
    log: list[Any] = []

    def body() -> None:
        exec_for(SHORT)
        _ = 1 / 0

    with pytest.raises(ZeroDivisionError), using_trio_from_qt(wait, log):
        body()
    assert log == ["cleaned up"]


def test_start_and_close_in_slots(qapp: Any) -> None:
    """start() and close() serve an application that is running already; a second close() does nothing."""
    log: list[Any] = []
    runner = using_trio_from_qt(wait, log)

    def close() -> None:
        runner.close()
        log.append("closed")
        runner.close()
        qapp.exit(4)

    after(0, runner.start)
    after(4 * SHORT, close)
    assert qapp.exec_() == 4
    assert log == ["cleaned up", "closed"]


def test_wrong_close(qapp: Any) -> None:
    """close() by a task or in another thread, and a second start(), are RuntimeErrors that do no harm."""
    errors: list[Any] = []

    def try_it(function: Callable[[], Any]) -> None:
        try:
            function()
        except RuntimeError as error:
            errors.append(str(error))

    async def main() -> None:
        try_it(runner.close)
        await trio.to_thread.run_sync(try_it, runner.close)
        try_it(runner.start)

    runner = using_trio_from_qt(main)
    with runner:
        exec_until(lambda: len(errors) == 3)
    try_it(runner.start)
    assert [text.split()[0] for text in errors] == ["a", "close()", "a", "a"]
    assert "by a task" in errors[0]
    assert "in the thread of start()" in errors[1]
    assert "only once" in errors[2]
    assert "only once" in errors[3]


# What goes on meanwhile


def test_neither_starves(qapp: Any) -> None:
    """Tasks that never wait leave Qt its turns, and Qt timers that never wait leave trio its."""
    ticks: list[float] = []
    steps = 0

    async def busy() -> None:
        nonlocal steps
        while len(ticks) < 20:
            steps += 1
            await trio.lowlevel.checkpoint()

    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(2)
    run(busy)
    assert steps > 100
    timer.start(0)
    run(trio.sleep, 4 * SHORT)
    timer.stop()
    assert len(ticks) > 40


def test_threads(qapp: Any) -> None:
    """Threads call into the run, from trio's own pool and from others."""

    async def main() -> list[Any]:
        here = threading.get_ident()
        called = trio.Event()
        token = trio.lowlevel.current_trio_token()
        threading.Thread(target=token.run_sync_soon, args=[called.set]).start()
        await called.wait()

        async def back() -> int:
            await trio.sleep(0)
            return threading.get_ident()

        return [
            await trio.to_thread.run_sync(threading.get_ident) == here,
            await trio.to_thread.run_sync(trio.from_thread.run, back) == here,
        ]

    assert run(main) == [False, True]


def test_sockets_and_processes(qapp: Any) -> None:
    """I/O of trio's works: a TCP echo and a subprocess."""

    async def main() -> list[bytes]:
        async def echo(stream: Any) -> None:
            async for data in stream:
                await stream.send_all(data)

        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, echo, 0)
            stream = await testing.open_stream_to_socket_listener(listeners[0])
            async with stream:
                await stream.send_all(b"hello")
                answer = await stream.receive_some()
            nursery.cancel_scope.cancel()
        process = await trio.run_process(
            [sys.executable, "-c", "print('world')"], capture_stdout=True
        )
        return [answer, process.stdout.strip()]

    assert run(main) == [b"hello", b"world"]


def test_trio_in_slots(qapp: Any) -> None:
    """Synchronous trio functions work in slots: setting an event, starting tasks (for which trio is the current library), cancelling a scope that has ended."""
    seen: list[Any] = []

    async def task() -> None:
        seen.append(sniffio.current_async_library())

    async def main() -> None:
        with trio.CancelScope() as ended:
            pass
        event = trio.Event()
        async with trio.open_nursery() as nursery:

            def slot() -> None:
                ended.cancel()
                nursery.start_soon(task)
                event.set()

            after(0, slot)
            await event.wait()
        assert seen == ["trio"]
        with pytest.raises(sniffio.AsyncLibraryNotFoundError):
            await qtinter.modal(sniffio.current_async_library)()

    run(main)


def test_qt_right_after_the_start(qapp: Any) -> None:
    """Between start() and the first turn of Qt, Qt and trio may be used."""
    log: list[Any] = []

    async def main() -> None:
        await event.wait()
        log.append("woken")

    event = trio.Event()
    with using_trio_from_qt(main):
        timer = qt_timer(SHORT)
        timer.timeout.connect(event.set)
        trio.lowlevel.current_trio_token().run_sync_soon(log.append, "called")
        exec_until(lambda: len(log) == 2)
    assert log == ["called", "woken"]


def test_nested_loop_of_a_slot(qapp: Any) -> None:
    """While a slot executes a nested Qt loop, tasks go on."""
    ticks: list[None] = []
    returned: list[None] = []

    async def tick() -> None:
        while True:
            await trio.sleep(0.001)
            ticks.append(None)

    def slot() -> None:
        enough = len(ticks) + 3
        nested_until(lambda: len(ticks) >= enough)
        returned.append(None)

    with using_trio_from_qt(tick):
        after(SHORT, slot)
        exec_until(lambda: returned, limit=20)


def test_nested_loop_of_a_task(qapp: Any) -> None:
    """While a task executes a nested Qt loop, other tasks stand still, Qt goes on, and nothing is lost afterwards."""
    ticks = {"trio": 0, "Qt": 0}

    async def tick() -> None:
        while True:
            await trio.sleep(0.001)
            ticks["trio"] += 1

    def count() -> None:
        ticks["Qt"] += 1

    async def main() -> None:
        timer = QtCore.QTimer()
        timer.timeout.connect(count)
        timer.start(1)
        event = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            await trio.sleep(SHORT)
            before = dict(ticks)
            after(0.01, event.set)
            nested_until(lambda: event.is_set() and ticks["Qt"] > before["Qt"] + 3)
            assert ticks["trio"] == before["trio"]
            await event.wait()
            while ticks["trio"] < before["trio"] + 3:
                await trio.sleep(0.001)
            timer.stop()
            nursery.cancel_scope.cancel()

    run(main)


def test_modal(qapp: Any) -> None:
    """modal() executes a nested Qt loop between two ticks, so all tasks go on; result and exception come back."""
    ticks: list[None] = []

    async def tick() -> None:
        while True:
            await trio.sleep(0.001)
            ticks.append(None)

    def blocking(result: str) -> str:
        enough = len(ticks) + 3
        nested_until(lambda: len(ticks) >= enough)
        return result

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            assert await qtinter.modal(blocking)("result") == "result"
            with pytest.raises(ZeroDivisionError):
                await qtinter.modal(lambda: 1 / 0)()
            nursery.cancel_scope.cancel()

    run(main)


def test_quit_inside_a_nested_loop_of_a_task(qapp: Any) -> None:
    """app.quit() while a task executes a nested Qt loop ends that first, then cancels the main function."""
    log: list[Any] = []

    async def main() -> None:
        after(SHORT, qapp.quit)
        QtCore.QEventLoop().exec_()
        log.append("nested loop left")
        await wait(log)

    assert run(main) is None
    assert log == ["nested loop left", "cleaned up"]


def test_async_generators(qapp: Any) -> None:
    """Async generators that are left half-way are finished by trio; those of slots are not trio's."""
    log: list[Any] = []

    async def generator() -> Any:
        try:
            yield 1
        finally:
            log.append(sniffio.current_async_library())

    async def main() -> None:
        async for _ in generator():
            break
        await testing.wait_all_tasks_blocked()

    with pytest.warns(ResourceWarning):
        run(main)
    assert log == ["trio"]
