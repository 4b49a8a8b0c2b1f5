"""asyncslot."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Callable

import pytest
import qtpy
from harness import MODES, exec_until, output_of, run_program
from qtpy import QtCore

import qtinter
from qtinter import asyncslot

PYQT = hasattr(QtCore, "PYQT_VERSION_STR")


class Sender(QtCore.QObject):
    """A QObject with signals of several shapes."""

    none = QtCore.Signal()
    one = QtCore.Signal(int)
    two = QtCore.Signal(int, str)
    thing = QtCore.Signal(object)
    either = QtCore.Signal((int,), (str,))


def receivers(sender: Any, name: str) -> int:
    """How many receivers a signal of Sender has."""
    signature = {"none": "none()", "one": "one(int)", "two": "two(int,QString)"}[name]
    return sender.receivers(getattr(sender, name) if PYQT else QtCore.SIGNAL(signature))


@pytest.fixture
def reports(go: Any, monkeypatch: Any) -> list[Any]:
    """Everything that reaches the exception handler of any loop."""
    found: list[Any] = []
    monkeypatch.setattr(
        asyncio.BaseEventLoop, "call_exception_handler", lambda _, context: found.append(context)
    )
    return found


@pytest.fixture
def runner(qapp: Any) -> Iterator[qtinter.QiRunner]:
    """An open runner."""
    with qtinter.QiRunner() as runner:
        yield runner


async def turns(count: int = 3) -> None:
    """Let Qt and asyncio do what they have to do."""
    for _ in range(count):
        await asyncio.sleep(0.002)


# What can be made a slot, and how. The tables are printed in the documentation.


class CallableObject:
    """An object with an async __call__."""

    async def __call__(self, *values: Any) -> tuple[Any, ...]:
        """Return the arguments."""
        await asyncio.sleep(0)
        return values


class Plain:
    """Methods of all kinds."""

    async def method(self, *values: Any) -> tuple[Any, ...]:
        """Return the arguments."""
        await asyncio.sleep(0)
        return values

    @staticmethod
    async def static(*values: Any) -> tuple[Any, ...]:
        """Return the arguments."""
        await asyncio.sleep(0)
        return values

    @classmethod
    async def of_class(cls, *values: Any) -> tuple[Any, ...]:
        """Return the arguments."""
        await asyncio.sleep(0)
        return values


class Qt(QtCore.QObject):
    """As Plain."""

    method = Plain.method
    static = Plain.__dict__["static"]
    of_class = Plain.__dict__["of_class"]


async def function(*values: Any) -> tuple[Any, ...]:
    """Return the arguments."""
    await asyncio.sleep(0)
    return values


class CompiledLike:
    """What Nuitka and Cython make of a function: inspect does not recognise it, and it has no signature."""

    __signature__ = None

    def __call__(self, *values: Any) -> Any:
        """Return a coroutine."""
        return function(*values)


def nested() -> Any:
    """A function defined in another one."""

    async def inner(*values: Any) -> tuple[Any, ...]:
        await asyncio.sleep(0)
        return values

    return inner


plain, qobject = Plain(), Qt()
CALLABLES: dict[str, Any] = {
    "coroutine function": function,
    "nested function": nested(),
    "lambda": lambda *values: function(*values),
    "partial": functools.partial(function),
    "partial of a method": functools.partial(plain.method),
    "callable object": CallableObject(),
    "bound method": plain.method,
    "bound method of a QObject": qobject.method,
    "static method": Plain.static,
    "class method": Plain.of_class,
    "class method of a QObject class": Qt.of_class,
    "compiled function": CompiledLike(),
    "function returning a future": lambda *values: asyncio.ensure_future(function(*values)),
}
FORMS: dict[str, Callable[[Any], Any]] = {
    "asyncslot(fn)": asyncslot,
    "@asyncslot()": asyncslot(),
    "@asyncslot(when_busy=...)": asyncslot(when_busy="queue"),
    "@asyncslot(int, str)": asyncslot(int, str),
    "@asyncslot(int, str, name=...)": asyncslot(int, str, name="of_another_name"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", CALLABLES)
def test_everything_callable_in_every_form(go: Any, kind: str, form: str) -> None:
    """Whatever returns an awaitable can be a slot, in every form."""

    async def main() -> None:
        sender = Sender()
        slot = FORMS[form](CALLABLES[kind])
        assert await slot(1, "x") == (1, "x")
        if "name" in form and not PYQT:
            return  # PySide2 crashes if name= is not that of an attribute.
        got = []
        also = FORMS[form](lambda *values: got.append(values) or CALLABLES[kind](*values))
        sender.two.connect(slot)
        sender.two.connect(also)
        sender.two.emit(2, "y")
        gc.collect()
        await turns()
        assert got == [(2, "y")]
        sender.two.disconnect(slot)
        sender.two.disconnect(also)
        assert receivers(sender, "two") == 0

    go(main)


log: list[Any] = []


def note(*values: Any) -> None:
    """Remember something."""
    log.append(values)


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


class Decorated:
    """Slots made in a class body, with every order of decorators."""

    @asyncslot
    async def bare(self, x: int) -> None:
        """Bare."""
        note("bare", self, x)

    @asyncslot()
    async def called(self, x: int) -> None:
        """With parentheses."""
        note("called", self, x)

    @asyncslot(int)
    async def typed(self, x: int) -> None:
        """With a type."""
        note("typed", self, x)

    @QtCore.Slot(int)
    @asyncslot
    async def below(self, x: int) -> None:
        """Below Slot."""
        note("below", self, x)

    @asyncslot
    @QtCore.Slot(int)
    async def above(self, x: int) -> None:
        """Above Slot."""
        note("above", self, x)

    @asyncslot
    @staticmethod
    async def over_static(x: int) -> None:
        """Above staticmethod."""
        note("over_static", None, x)

    @staticmethod
    @asyncslot
    async def under_static(x: int) -> None:
        """Below staticmethod."""
        note("under_static", None, x)

    @asyncslot
    @classmethod
    async def over_class(cls, x: int) -> None:
        """Above classmethod."""
        note("over_class", cls, x)

    @classmethod
    @asyncslot
    async def under_class(cls, x: int) -> None:
        """Below classmethod."""
        note("under_class", cls, x)

    @asyncslot
    async def nothing(self) -> None:
        """Without parameters."""
        note("nothing", self)

    @asyncslot
    async def default(self, x: int = 42) -> None:
        """With a default."""
        note("default", self, x)

    @asyncslot(when_busy="queue")
    async def queue(self, x: int) -> None:
        """One at a time."""
        note("queue", self, x)


METHODS = [name for name in vars(Decorated) if not name.startswith("__")]
# In the namespace from the beginning, as in a class body: PyQt looks for slots there.
DecoratedQt: Any = type(
    "DecoratedQt", (QtCore.QObject,), {name: vars(Decorated)[name] for name in METHODS}
)


@pytest.mark.parametrize("cls", [Decorated, DecoratedQt], ids=["plain class", "QObject class"])
@pytest.mark.parametrize("name", METHODS)
def test_slots_made_in_a_class_body(go: Any, name: str, cls: Any) -> None:
    """Decorated methods of all kinds are connected like other methods and receive the object they belong to."""
    if PYQT and cls is Decorated and name in ("typed", "below", "above"):
        pytest.skip("PyQt knows no pyqtSlot in a class that is no QObject class")

    async def main() -> None:
        sender, thing = Sender(), cls()
        sender.one.connect(getattr(thing, name))
        sender.one.emit(7)
        owner = cls if name.endswith("class") else None if name.endswith("static") else thing
        assert log == [(name, owner) if name == "nothing" else (name, owner, 7)]
        sender.one.disconnect(getattr(thing, name))
        sender.one.emit(8)
        assert len(log) == 1
        assert receivers(sender, "one") == 0

    go(main)


def test_methods_show_their_own_name_and_signature() -> None:
    """A slot looks like what it was made from."""
    assert Decorated.default.__name__ == "default"
    assert Decorated.default.__qualname__ == "Decorated.default"
    assert Decorated.default.__doc__ == "With a default."
    assert str(inspect.signature(Decorated.default)) == "(self, x: 'int' = 42) -> 'None'"


@pytest.mark.parametrize("name", ["below", "above", "typed"])
def test_slots_are_known_to_the_meta_object(go: Any, name: str) -> None:
    """A slot stacked with Slot, or with types, is in the meta-object, so Qt and QML can call it by name."""

    async def main() -> None:
        thing = DecoratedQt()
        assert thing.metaObject().indexOfSlot(f"{name}(int)") >= 0
        if hasattr(QtCore, "Q_ARG"):
            QtCore.QMetaObject.invokeMethod(
                thing, name, QtCore.Qt.ConnectionType.DirectConnection, QtCore.Q_ARG(int, 5)
            )
            assert log == [(name, thing, 5)]

    go(main)


def test_called_from_javascript(go: Any) -> None:
    """QML's language calls slots that are stacked with Slot."""
    qml = pytest.importorskip("qtpy.QtQml")

    async def main() -> None:
        engine, parent = qml.QJSEngine(), QtCore.QObject()
        thing = DecoratedQt()
        thing.setParent(parent)  # Otherwise it would belong to the engine.
        engine.globalObject().setProperty("thing", engine.newQObject(thing))
        for name in "below", "above", "typed":
            result = engine.evaluate(f"thing.{name}(5)")
            assert not result.isError(), result.toString()
        assert log == [(name, thing, 5) for name in ("below", "above", "typed")]

    go(main)


# Arguments.


def test_extra_arguments_are_dropped(go: Any) -> None:
    """A slot receives as many arguments of the signal as it has parameters."""

    async def none() -> None:
        note("none")

    async def one(x: Any) -> None:
        note("one", x)

    async def both(x: Any, y: Any = "default") -> None:
        note("both", x, y)

    async def keyword(x: Any, *, y: Any = "default") -> None:
        note("keyword", x, y)

    async def main() -> None:
        sender = Sender()
        for fn in none, one, both, keyword:
            sender.two.connect(asyncslot(fn))
        sender.two.emit(1, "x")
        assert log == [("none",), ("one", 1), ("both", 1, "x"), ("keyword", 1, "default")]

    go(main)


def test_clicked(go: Any) -> None:
    """A slot of clicked(bool) may have the parameter or not, with or without a default."""
    widgets = pytest.importorskip("qtpy.QtWidgets")

    class Window(widgets.QWidget):  # type: ignore[misc, name-defined]
        @asyncslot
        async def without(self) -> None:
            note("without")

        @asyncslot
        async def with_(self, checked: bool) -> None:
            note("with", checked)

        @asyncslot
        async def default(self, checked: bool = True) -> None:
            note("default", checked)

        async def method(self, checked: bool) -> None:
            note("method", checked)

    async def function_(checked: bool) -> None:
        note("function", checked)

    async def main() -> None:
        window, button = Window(), widgets.QPushButton()
        for slot in (
            window.without,
            window.with_,
            window.default,
            asyncslot(window.method),
            asyncslot(function_),
            asyncslot(lambda checked: function_(checked)),
            asyncslot(functools.partial(function_)),
        ):
            button.clicked.connect(slot)
        button.click()
        assert log == [
            ("without",),
            ("with", False),
            ("default", False),
            ("method", False),
            ("function", False),
            ("function", False),
            ("function", False),
        ]

    go(main)


def test_overloads(go: Any) -> None:
    """The overload that was connected decides what a slot receives."""

    async def either(x: Any) -> None:
        note(x)

    async def main() -> None:
        sender, slot = Sender(), asyncslot(either)
        integer, string = sender.either[int], sender.either[str]
        integer.connect(slot)
        integer.emit(1)
        integer.disconnect(slot)
        string.connect(slot)
        string.emit("x")
        assert log == [(1,), ("x",)]

    go(main)


def test_direct_calls(go: Any) -> None:
    """Python code may call a slot like the function, by keyword too, and await what it returns."""

    async def add(x: int, y: int = 10, *, z: int = 100) -> int:
        await asyncio.sleep(0)
        return x + y + z

    async def main() -> None:
        slot = asyncslot(add)
        assert isinstance(slot(1), asyncio.Task)
        assert await slot(1) == 111
        assert await slot(1, 2) == 103
        assert await slot(y=3, x=1, z=0) == 4
        with pytest.raises(TypeError):
            slot(1, 2, 3)

    go(main)


def test_too_few_arguments_are_reported(reports: list[Any], runner: Any) -> None:
    """A signal with too few arguments is an error of the slot; nothing is raised into Qt."""

    async def two(x: int, y: int) -> None: ...

    sender = Sender()
    sender.one.connect(asyncslot(two))
    sender.one.emit(1)
    assert len(reports) == 1
    assert isinstance(reports[0]["exception"], TypeError)
    assert "'y'" in str(reports[0]["exception"])


def test_refusals(qapp: Any) -> None:
    """What cannot be a slot is refused at once."""

    async def needs_keyword(x: int, *, y: int) -> None: ...

    async def fine() -> None: ...

    with pytest.raises(TypeError, match="'y'"):
        asyncslot(needs_keyword)
    with pytest.raises(TypeError, match="'y'"):
        asyncslot(functools.partial(needs_keyword))
    for thing in 3, None, [int], fine():
        with pytest.raises(TypeError):
            asyncslot(thing)
        if inspect.iscoroutine(thing):
            thing.close()
    with pytest.raises(TypeError):
        asyncslot(fine, fine)
    with pytest.raises(TypeError):
        asyncslot(int)(3)
    with pytest.raises(ValueError, match="when_busy"):
        asyncslot(fine, when_busy="sometimes")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="owner"):
        asyncslot(fine, owner=3)


def test_what_is_no_coroutine_is_reported(reports: list[Any], runner: Any) -> None:
    """A function that returns no awaitable, or raises before it has returned one, is reported like its coroutine's errors."""
    asyncslot(lambda: 3)()
    asyncslot(lambda: 1 / 0)()
    assert [type(report["exception"]) for report in reports] == [TypeError, ZeroDivisionError]
    assert "must return a coroutine" in str(reports[0]["exception"])


def test_temporaries_are_copied(go: Any) -> None:
    """Arguments that Qt passes by reference can be used after the slot has returned; Python objects stay the same objects."""
    widgets = pytest.importorskip("qtpy.QtWidgets")
    from qtpy import QtGui

    kept: list[Any] = []

    async def keep(*values: Any) -> None:
        await asyncio.sleep(0.01)
        kept.extend(values)

    async def selected(new: Any, old: Any) -> None:
        await keep(new, old)

    async def main() -> None:
        model = QtGui.QStandardItemModel(3, 3)
        view = widgets.QTableView()
        view.setModel(model)
        view.selectionModel().selectionChanged.connect(asyncslot(selected))
        view.selectRow(1)
        sender, thing = Sender(), object()
        sender.thing.connect(asyncslot(lambda x: keep(x)))
        sender.thing.emit(thing)
        view.selectRow(2)
        await asyncio.sleep(0.03)
        assert [index.row() for index in kept[0].indexes()] == [1, 1, 1]
        assert thing in kept

    go(main)


# The first step, and the task.


def test_first_step_runs_at_once(go: Any) -> None:
    """When the call returns, the coroutine has run up to where it first suspends, also inside a running task."""

    async def steps() -> str:
        note("first")
        await asyncio.sleep(0)
        note("second")
        return "result"

    async def main() -> None:
        outer = asyncio.current_task()
        sender = Sender()
        sender.none.connect(asyncslot(steps))
        sender.none.emit()
        assert log == [("first",)]
        assert asyncio.current_task() is outer
        task = asyncslot(steps)()
        assert asyncio.current_task() is outer
        assert await task == "result"

    go(main)


def test_nested_slots(go: Any) -> None:
    """A slot may emit what calls another slot, or itself; the current task is right in each."""
    sender = Sender()

    async def outer(depth: int) -> None:
        mine = asyncio.current_task()
        if depth:
            sender.one.emit(depth - 1)
        assert asyncio.current_task() is mine
        note(depth)
        await asyncio.sleep(0)
        assert asyncio.current_task() is mine
        note(depth)

    async def main() -> None:
        slot = asyncslot(outer)
        sender.one.connect(slot)
        sender.one.emit(2)
        assert log == [(0,), (1,), (2,)]
        await turns()
        assert sorted(log) == [(0,), (0,), (1,), (1,), (2,), (2,)]

    go(main)


def test_tasks_are_kept_alive(go: Any) -> None:
    """A task to which nobody refers survives every garbage collection, although its future is in the same cycle."""

    async def waiting() -> None:
        for _ in range(5):
            future = asyncio.get_running_loop().create_future()
            reference = weakref.ref(future)
            asyncio.get_running_loop().call_later(
                0.001, lambda r=reference: (gc.collect(), r().set_result(None))
            )
            await future
        note("done")

    async def main() -> None:
        sender = Sender()
        sender.none.connect(asyncslot(waiting))
        sender.none.emit()
        del sender
        gc.collect()
        while not log:
            await asyncio.sleep(0.01)

    go(main)


def test_context(go: Any) -> None:
    """The coroutine runs in a copy of the caller's context."""
    variable = contextvars.ContextVar("variable", default=0)

    async def change() -> int:
        variable.set(variable.get() + 1)
        await asyncio.sleep(0)
        return variable.get()

    async def main() -> None:
        variable.set(5)
        assert await asyncslot(change)() == 6
        assert variable.get() == 5

    go(main)


def test_task_runner(go: Any) -> None:
    """Another task runner decides how the coroutine is run."""

    async def fn() -> None:
        note("ran")

    async def main() -> None:
        task = asyncslot(fn, task_runner=asyncio.create_task)()
        assert log == []
        await task
        assert log == [("ran",)]

    go(main)


def test_sender(go: Any) -> None:
    """QObject.sender() works in the first step of a slot of a QObject."""

    class Receiver(QtCore.QObject):
        @asyncslot
        async def slot(self) -> None:
            note(self.sender())

    async def main() -> None:
        sender, receiver = Sender(), Receiver()
        sender.none.connect(receiver.slot)
        sender.none.emit()
        assert log == [(sender,)]

    go(main)


# Errors.


async def fails_at_once() -> None:
    """Fail in the first step."""
    raise ZeroDivisionError("at once")


async def fails_later() -> None:
    """Fail in a later step."""
    await asyncio.sleep(0)
    raise ZeroDivisionError("later")


@pytest.mark.parametrize("fn", [fails_at_once, fails_later])
def test_errors_are_reported_once_and_at_once(reports: list[Any], runner: Any, fn: Any) -> None:
    """An exception is reported when the coroutine has ended, with the slot's name, even if somebody keeps or awaits the task."""
    sender = Sender()
    kept = []
    slot = asyncslot(fn)
    sender.none.connect(lambda: kept.append(slot()))
    sender.none.emit()
    exec_until(lambda: reports)
    with pytest.raises(ZeroDivisionError):
        kept[0].result()
    assert len(reports) == 1
    assert fn.__qualname__ in reports[0]["message"]
    assert isinstance(reports[0]["exception"], ZeroDivisionError)
    assert reports[0]["task"] is kept[0]
    kept.clear()
    gc.collect()
    exec_until(lambda: True)
    assert len(reports) == 1


@pytest.mark.parametrize("fn", [fails_at_once, fails_later])
def test_on_error(go: Any, fn: Any) -> None:
    """on_error receives the exception, and nothing is reported."""

    async def main() -> None:
        errors: list[Any] = []
        asyncslot(fn, on_error=errors.append)()
        await turns()
        assert [type(error) for error in errors] == [ZeroDivisionError]

    go(main)


def test_on_error_that_fails(reports: list[Any], runner: Any) -> None:
    """An exception of on_error is reported."""

    def on_error(error: Exception) -> None:
        raise KeyError("on_error") from error

    asyncslot(fails_at_once, on_error=on_error)()
    assert [type(report["exception"]) for report in reports] == [KeyError]


def test_cancellation_is_silent(go: Any) -> None:
    """A cancelled slot is not reported, and on_error is not told."""

    async def main() -> None:
        task = asyncslot(asyncio.sleep, on_error=note)(10)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert log == []

    go(main)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("when_busy", ["parallel", "queue"])
def test_exits_end_the_run(
    qapp: Any, kind: type[BaseException], later: bool, when_busy: Any
) -> None:
    """KeyboardInterrupt and SystemExit are not raised into Qt, but by what runs the loop."""

    async def leave() -> None:
        if later:
            await asyncio.sleep(0)
        raise kind(3)

    sender = Sender()
    runner = qtinter.QiRunner()
    runner.start()
    sender.none.connect(asyncslot(leave, when_busy=when_busy))
    QtCore.QTimer.singleShot(0, sender.none.emit)
    qapp.exec_()
    with pytest.raises(kind):
        runner.close()


def test_exit_code_is_that_of_sys_exit(qapp: Any) -> None:
    """sys.exit() in a slot, in a process of its own, gives its exit code."""
    code = """
        app = QtCore.QCoreApplication([])
        async def leave():
            await asyncio.sleep(0)
            sys.exit(42)
        with qtinter.QiRunner():
            QtCore.QTimer.singleShot(0, qtinter.asyncslot(leave))
            getattr(app, "exec", None)() if hasattr(app, "exec") else app.exec_()
    """
    assert run_program(code).code == 42


# No loop.


def test_no_loop(qapp: Any) -> None:
    """Called by Python without a running Qt-backed loop, a slot raises, and says what to do."""
    with pytest.raises(RuntimeError, match="using_asyncio_from_qt"):
        asyncslot(fails_at_once)()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="using_asyncio_from_qt"):
            asyncslot(fails_at_once)()

    asyncio.run(main())


def test_emission_without_loop_does_not_abort() -> None:
    """If there is no running loop when a signal is emitted, this is printed on all bindings, and the process lives on."""
    code = """
        app = QtCore.QCoreApplication([])
        class Sender(QtCore.QObject):
            signal = QtCore.Signal()
        class Receiver(QtCore.QObject):
            @qtinter.asyncslot
            async def method(self): pass
            @qtinter.asyncslot()
            @QtCore.Slot()
            async def slot(self): pass
        sender, receiver = Sender(), Receiver()
        async def function(): pass
        for each in receiver.method, receiver.slot, qtinter.asyncslot(function):
            sender.signal.connect(each)
        sender.signal.emit()
        timer = QtCore.QTimer()
        timer.timeout.connect(receiver.method)
        timer.start(0)
        QtCore.QTimer.singleShot(0, receiver.method)
        QtCore.QTimer.singleShot(20, app.quit)
        timer.timeout.connect(timer.stop)
        app.exec_() if hasattr(app, "exec_") else app.exec()
        say("alive", sys.excepthook is sys.__excepthook__)
    """
    ended = run_program(code)
    assert (ended.code, ended.lines) == (0, ["alive True"])
    assert ended.errors.count("NoLoopError: asyncslot") == 5


def test_excepthook_is_put_back() -> None:
    """What keeps PyQt from aborting is gone when Python code has caught the error."""
    code = """
        app = QtCore.QCoreApplication([])
        async def function(): pass
        slot = qtinter.asyncslot(function)
        for _ in range(3):
            try:
                slot()
            except RuntimeError as error:
                kept = error
            else:
                say("no error")
        del kept
        say(sys.excepthook is sys.__excepthook__)
    """
    assert output_of(code) == ["True"]


def test_late_emission(qapp: Any) -> None:
    """A slot made in a run does nothing after it."""
    sender = Sender()
    with qtinter.QiRunner():
        sender.none.connect(asyncslot(fails_at_once))
    sender.none.emit()


# Lifetimes.


class PlainReceiver:
    """An object with a coroutine method."""

    async def method(self, x: int) -> None:
        """Note the argument."""
        note(x)


class QtReceiver(QtCore.QObject):
    """A QObject with a coroutine method."""

    method = PlainReceiver.method


class SlotsReceiver:
    """An object without __dict__."""

    __slots__ = ("__weakref__",)
    method = PlainReceiver.method


RECEIVERS = [PlainReceiver, QtReceiver, SlotsReceiver]


@pytest.mark.parametrize("cls", RECEIVERS)
def test_connection_holds_receiver_weakly(go: Any, cls: Any) -> None:
    """An object whose coroutine method is connected dies when nobody else holds it; then the signal calls nothing."""

    async def main() -> None:
        sender, thing = Sender(), cls()
        sender.one.connect(asyncslot(thing.method))
        gc.collect()
        junk = [asyncslot(cls().method) for _ in range(20)]
        sender.one.emit(1)
        assert log == [(1,)]
        reference = weakref.ref(thing)
        del thing
        assert reference() is None
        sender.one.emit(2)
        await turns()
        assert log == [(1,)]
        assert receivers(sender, "one") == 0
        del junk

    go(main)


@pytest.mark.parametrize("cls", RECEIVERS)
def test_slot_holds_receiver(go: Any, cls: Any) -> None:
    """Whoever holds the slot of a method keeps its object alive."""

    async def main() -> None:
        sender = Sender()
        slot = asyncslot(cls().method)
        sender.one.connect(slot)
        gc.collect()
        sender.one.emit(1)
        assert log == [(1,)]

    go(main)


@pytest.mark.parametrize("cls", RECEIVERS)
def test_options_do_not_hold_receiver(go: Any, cls: Any) -> None:
    """Not even if on_error is a method of the same object, and it its own owner; such an on_error is called."""

    class Receiver(cls):  # type: ignore[misc]
        async def fail(self) -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        def failed(self, error: Exception) -> None:
            note(self, type(error))

    async def main() -> None:
        sender, thing = Sender(), Receiver()
        owner = thing if cls is QtReceiver else None
        sender.none.connect(asyncslot(thing.fail, on_error=thing.failed, owner=owner))
        sender.none.emit()
        await turns()
        assert log == [(thing, ZeroDivisionError)]
        log.clear()
        reference = weakref.ref(thing)
        del thing, owner
        assert reference() is None

    go(main)


def test_running_coroutine_holds_receiver(go: Any) -> None:
    """While its coroutine runs, an object lives."""

    class Receiver:
        async def method(self) -> None:
            await asyncio.sleep(0.005)
            note("done")

    async def main() -> None:
        sender, receiver = Sender(), Receiver()
        sender.none.connect(asyncslot(receiver.method))
        sender.none.emit()
        reference = weakref.ref(receiver)
        del receiver
        gc.collect()
        while not log:
            await turns(1)
        assert log == [("done",)]
        await turns(1)
        gc.collect()
        assert reference() is None

    go(main)


def test_deleted_qobject_is_not_called(go: Any) -> None:
    """After its C++ object is gone, the slot of a QObject is not called, though its Python object lives on."""

    async def main() -> None:
        sender, receiver = Sender(), QtReceiver()
        sender.one.connect(asyncslot(receiver.method))
        destroyed = qtinter.asyncsignal(receiver.destroyed)
        receiver.deleteLater()
        await destroyed
        await turns()
        sender.one.emit(1)
        assert log == []

    go(main)


def test_disconnect_without_keeping_the_slot(go: Any) -> None:
    """Slots of the same method with the same options are equal, so one disconnects the other."""

    async def main() -> None:
        sender, receiver = Sender(), QtReceiver()
        assert asyncslot(receiver.method) == asyncslot(receiver.method)
        assert asyncslot(receiver.method) != asyncslot(receiver.method, when_busy="drop")
        sender.one.connect(asyncslot(receiver.method))
        sender.one.disconnect(asyncslot(receiver.method))
        assert receivers(sender, "one") == 0

    go(main)


def test_owner(go: Any) -> None:
    """The destruction of the owner cancels what runs, and what is called later does not run."""

    async def forever() -> None:
        note("runs")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            note("cancelled")
            raise

    async def main() -> None:
        sender, owner = Sender(), QtCore.QObject()
        slot = asyncslot(forever, owner=owner)
        sender.none.connect(slot)
        sender.none.emit()
        owner.deleteLater()
        while len(log) < 2:
            await turns(1)
        assert log == [("runs",), ("cancelled",)]
        assert slot().cancelled()
        assert len(log) == 2

    go(main)


def test_owner_dies_in_the_first_step(go: Any) -> None:
    """The owner may die while the first step runs."""

    async def suicide(parent: Any) -> None:
        parent[:] = []
        gc.collect()
        await asyncio.sleep(10)

    async def main() -> None:
        owners = [QtCore.QObject()]
        slot = asyncslot(suicide, owner=owners[0])
        task = slot(owners)
        await asyncio.wait([task], timeout=1)
        assert task.cancelled()

    go(main)


def test_slots_with_owner_leave_no_receivers(go: Any) -> None:
    """A slot that is dropped no longer listens to its owner."""

    async def nothing() -> None: ...

    async def main() -> None:
        owner = QtCore.QObject()

        def count() -> int:
            return owner.receivers(owner.destroyed if PYQT else QtCore.SIGNAL("destroyed()"))

        owner.destroyed.connect(
            note
        )  # From its first connection on, PySide has a receiver of its own.
        before = count()
        for _ in range(5):
            await asyncslot(nothing, owner=owner)()
        while count() > before:  # Qt does not remove a connection at once.
            await turns(1)
        owner.destroyed.disconnect(note)

    go(main)


# While busy.


class Busy(QtCore.QObject):
    """Slots that run until told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.events: dict[int, asyncio.Event] = {}

    async def work(self, number: int) -> int:
        """Run until told to end."""
        note("begin", number)
        try:
            await self.events.setdefault(number, asyncio.Event()).wait()
            note("end", number)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            note("cleaned up", number)
            raise
        return number

    def end(self, number: int) -> None:
        """Let one end."""
        self.events.setdefault(number, asyncio.Event()).set()


async def function_work(self: Busy, number: int) -> int:
    """The work of Busy in a function."""
    return await self.work(number)


def busy_slot(how: str, thing: Busy, policy: str) -> Any:
    """The same slot made in three ways."""
    if how == "decorated":
        # In a class body, the slot has the name of the attribute.
        class Window(Busy):
            @asyncslot(when_busy=policy)  # type: ignore[call-overload]
            async def slot(self, number: int) -> int:
                return await self.work(number)

        thing.__class__ = Window
        return thing.slot  # type: ignore[attr-defined]
    if how == "bound":
        return asyncslot(thing.work, when_busy=policy)  # type: ignore[call-overload]
    return asyncslot(functools.partial(function_work, thing), when_busy=policy)  # type: ignore[call-overload]


HOW = ["decorated", "bound", "function"]


@pytest.mark.parametrize("how", HOW)
def test_parallel(go: Any, how: str) -> None:
    """parallel: calls run side by side."""

    async def main() -> None:
        thing = Busy()
        slot = busy_slot(how, thing, "parallel")
        tasks = [slot(1), slot(2)]
        assert log == [("begin", 1), ("begin", 2)]
        thing.end(2)
        thing.end(1)
        assert await asyncio.gather(*tasks) == [1, 2]

    go(main)


@pytest.mark.parametrize("how", HOW)
def test_drop(go: Any, how: str) -> None:
    """drop: a call while another runs does nothing but return its task."""

    async def main() -> None:
        thing = Busy()
        slot = busy_slot(how, thing, "drop")
        first = slot(1)
        assert slot(2) is first
        thing.end(1)
        assert await first == 1
        second = slot(3)
        thing.end(3)
        assert await second == 3
        assert log == [("begin", 1), ("end", 1), ("begin", 3), ("end", 3)]

    go(main)


@pytest.mark.parametrize("how", HOW)
def test_queue(go: Any, how: str) -> None:
    """queue: calls run one after the other, in order, also after one was cancelled while it waited."""

    async def main() -> None:
        thing = Busy()
        slot = busy_slot(how, thing, "queue")
        tasks = [slot(number) for number in range(4)]
        for number in range(4):
            thing.end(number)
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert tasks[2].cancelled()
        assert log == [(what, number) for number in (0, 1, 3) for what in ("begin", "end")]

    go(main)


@pytest.mark.parametrize("how", HOW)
def test_restart(go: Any, how: str) -> None:
    """restart: the latest call wins, and begins when the one before has cleaned up."""

    async def main() -> None:
        thing = Busy()
        slot = busy_slot(how, thing, "restart")
        tasks = [slot(number) for number in range(3)]
        assert log == [("begin", 0)]
        thing.end(2)
        assert await tasks[2] == 2
        assert tasks[0].cancelled()
        assert tasks[1].cancelled()
        assert log == [("begin", 0), ("cleaned up", 0), ("begin", 2), ("end", 2)]

    go(main)


@pytest.mark.parametrize("how", ["decorated", "bound"])
def test_busy_is_per_receiver(go: Any, how: str) -> None:
    """Other objects of the same class are not busy."""

    async def main() -> None:
        class Window(Busy):
            @asyncslot(when_busy="drop")
            async def slot(self, number: int) -> int:
                return await self.work(number)

        one, two = Window(), Window()
        slots = [
            thing.slot if how == "decorated" else asyncslot(thing.work, when_busy="drop")
            for thing in (one, two)
        ]
        tasks = [slots[0](1), slots[1](2)]
        assert tasks[0] is not tasks[1]
        assert slots[0](3) is tasks[0]
        one.end(1)
        two.end(2)
        assert await asyncio.gather(*tasks) == [1, 2]

    go(main)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("drop", [("in", 2), ("out", 2)]),
        ("queue", [("in", 2), ("out", 2), ("in", 1), ("out", 1), ("in", 0), ("out", 0)]),
        ("restart", [("in", 2), ("in", 1), ("in", 0), ("out", 0)]),
    ],
)
def test_busy_in_the_first_step(go: Any, policy: Any, expected: list[Any]) -> None:
    """A slot that is called again by its own first step is busy."""
    sender = Sender()

    async def again(depth: int) -> None:
        note("in", depth)
        if depth:
            sender.one.emit(depth - 1)
        await asyncio.sleep(0)
        note("out", depth)

    async def main() -> None:
        sender.one.connect(asyncslot(again, when_busy=policy))
        sender.one.emit(2)
        await turns(10)
        assert log == expected

    go(main)


def test_double_click(go: Any) -> None:
    """A button that its slot disables at once cannot be clicked twice."""
    widgets = pytest.importorskip("qtpy.QtWidgets")

    async def main() -> None:
        button = widgets.QPushButton()

        async def save() -> None:
            button.setEnabled(False)
            note("save")
            await asyncio.sleep(0.005)
            button.setEnabled(True)

        button.clicked.connect(asyncslot(save))
        button.click()
        button.click()
        await asyncio.sleep(0.02)
        assert log == [("save",)]

    go(main)


# Threads.


class Worker(QtCore.QObject):
    """Emits in whatever thread it lives in."""

    begin = QtCore.Signal()
    emitted = QtCore.Signal(object)  # An int of Qt is too small for the identity of a thread.

    def __init__(self) -> None:
        super().__init__()
        self.begin.connect(self.work)

    @QtCore.Slot()
    def work(self) -> None:
        """Emit, in the worker's thread."""
        self.emitted.emit(threading.get_ident())


@pytest.fixture
def thread(qapp: Any) -> Iterator[Any]:
    """A running QThread. What lives in it is to be in its list `kept`: Python must not delete it from this thread."""
    thread = QtCore.QThread()
    thread.kept = []
    thread.start()
    yield thread
    thread.quit()
    assert thread.wait(5000)
    thread.kept.clear()


async def listen(emitted_in: int) -> None:
    """Note in which thread the first and second step run."""
    first = threading.get_ident()
    await asyncio.sleep(0)
    note(emitted_in, first, threading.get_ident())


class Listener:
    """The same in methods."""

    async def method(self, emitted_in: int) -> None:
        """Listen."""
        await listen(emitted_in)

    @asyncslot
    async def decorated(self, emitted_in: int) -> None:
        """Listen."""
        await listen(emitted_in)


class QtListener(QtCore.QObject):
    """The same in methods of a QObject."""

    method = Listener.method

    @asyncslot
    async def decorated(self, emitted_in: int) -> None:
        """Listen."""
        await listen(emitted_in)


decorated_listen = asyncslot(listen)
plain_listener = Listener()

LISTENERS: dict[str, Callable[[], Any]] = {
    "function": lambda: asyncslot(listen),
    "decorated function": lambda: decorated_listen,
    "bound method": lambda: asyncslot(plain_listener.method),
    "decorated method": lambda: plain_listener.decorated,
}


def emit_in_thread(how: str, sender: Any) -> int | None:
    """Have `sender.emitted` emitted in another thread; return its identity if known."""
    if how == "QThread":
        sender.begin.emit()
    elif how == "QThreadPool":

        class Job(QtCore.QRunnable):
            def run(self) -> None:
                sender.work()

        job = Job()
        job.setAutoDelete(False)
        QtCore.QThreadPool.globalInstance().start(job)
        assert QtCore.QThreadPool.globalInstance().waitForDone(5000) is not False
    else:
        other = threading.Thread(target=sender.work)
        other.start()
        other.join()
    return None


@pytest.mark.parametrize("how", ["QThread", "QThreadPool", "Thread"])
@pytest.mark.parametrize(
    "kind", [*LISTENERS, "bound method of a QObject", "decorated method of a QObject"]
)
@pytest.mark.parametrize("lives", ["here", "there"])
def test_emitted_in_another_thread(
    runner: Any, thread: Any, kind: str, how: str, lives: str
) -> None:
    """Wherever the signal is emitted, and wherever its sender lives, the coroutine runs in its loop's thread."""
    worker, listener = Worker(), QtListener()
    if how == "QThread" or lives == "there":
        worker.moveToThread(thread)
        thread.kept.append(worker)
    if kind in LISTENERS:
        slot = LISTENERS[kind]()
    else:
        slot = asyncslot(listener.method) if kind.startswith("bound") else listener.decorated
    worker.emitted.connect(slot)
    emit_in_thread(how, worker)
    exec_until(lambda: log)
    here = threading.get_ident()
    assert log == [(log[0][0], here, here)]
    assert log[0][0] != here


def test_slot_of_a_qobject_in_a_thread_with_a_loop(runner: Any) -> None:
    """The coroutine of a QObject that lives in a thread with a loop of its own runs there."""
    ready = threading.Event()
    stop: list[Any] = []

    class Thread(QtCore.QThread):
        def run(self) -> None:
            with qtinter.QiRunner():
                stop.append(threading.get_ident())
                ready.set()
                getattr(self, "exec", None)() if hasattr(self, "exec") else self.exec_()

    thread = Thread()
    thread.start()
    assert ready.wait(5)
    here, there, sender = QtListener(), QtListener(), Sender()
    there.moveToThread(thread)
    sender.one.connect(asyncslot(there.method))
    sender.one.connect(there.decorated)
    sender.one.connect(asyncslot(here.method))
    sender.one.emit(0)
    exec_until(lambda: len(log) == 3)
    assert sorted(log) == sorted(
        [(0, stop[0], stop[0])] * 2 + [(0, threading.get_ident(), threading.get_ident())]
    )
    there.deleteLater()
    thread.quit()
    assert thread.wait(5000)


# Quantities.


@pytest.mark.skipif(
    qtpy.API == "pyside6" and sys.version_info < (3, 12),
    reason="without us too, PySide6 leaks a weak reference for each connection of a method that is "
    "not of its class (before 6.12), and crashes before Python 3.12 after 1,000 emissions (6.12.0)",
)
def test_nothing_is_left_of_many_slots(go: Any) -> None:
    """1,000 times connect, emit and delete leave no receiver and no object."""

    async def main() -> None:
        sender, window = Sender(), QtReceiver()

        async def step() -> None:
            await asyncio.sleep(0)

        def once() -> None:
            receiver = QtReceiver()
            slot = asyncslot(step)
            sender.one.connect(asyncslot(receiver.method))
            sender.one.connect(asyncslot(window.method))
            sender.one.connect(slot)
            sender.one.emit(1)
            sender.one.disconnect(slot)
            sender.one.disconnect(asyncslot(window.method))

        def count() -> int:
            gc.collect()
            return len(gc.get_objects())

        for _ in range(50):
            once()
        await turns()
        log.clear()
        before = count()
        for _ in range(1000):
            once()
        sender.one.emit(1)
        await turns()
        log.clear()
        assert receivers(sender, "one") == 0
        assert count() - before < 100

    go(main)


@pytest.mark.parametrize("mode", ["attached", "nested"])
def test_slots_that_are_called_until_the_end(qapp: Any, kind: Any, mode: str) -> None:
    """What a slot starts while its loop ends, after everybody has looked for tasks, ends as well."""
    began, ended = [], []
    timer = QtCore.QTimer()

    @asyncslot
    async def slot() -> None:
        began.append(asyncio.current_task())
        try:
            await asyncio.sleep(100)
        finally:
            signal = qtinter.asyncsignal(timer.timeout)
            await asyncio.wait_for(signal, 5)  # Qt is there.
            ended.append(asyncio.current_task())

    async def main() -> None:
        timer.timeout.connect(slot)
        timer.start(0)
        while len(began) < 3:
            await asyncio.sleep(0)

    try:
        MODES[mode](kind.qi, main)
    finally:
        timer.stop()
    assert len(began) >= 3
    assert set(ended) == set(began)
    assert all(task.done() for task in began)


def test_close_beside_another_loop(qapp: Any) -> None:
    """To close a loop with a slot's task, where nothing else can be run, is possible as it is in asyncio."""
    loop = qtinter.new_event_loop()
    sender = Sender()
    tasks = []

    @asyncslot
    async def slot() -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(100)

    async def main() -> None:
        sender.none.connect(slot)
        sender.none.emit()

    loop.run_until_complete(main())
    with qtinter.QiRunner():
        loop.close()
    assert loop.is_closed()
    loop.close()
    (task,) = tasks
    assert not task.done()
    task._log_destroy_pending = False
    task.get_coro().close()


def test_interpreter_exit_with_slots_connected() -> None:
    """Slots, running or not, do not disturb the end of the interpreter."""
    code = """
        app = QtCore.QCoreApplication([])
        timer = QtCore.QTimer()
        async def forever():
            await asyncio.sleep(100)
        with qtinter.QiRunner():
            timer.timeout.connect(qtinter.asyncslot(forever, owner=timer))
            timer.start(1)
            QtCore.QTimer.singleShot(20, app.quit)
            getattr(app, "exec", None)() if hasattr(app, "exec") else app.exec_()
        say("end")
    """
    assert output_of(code) == ["end"]
