"""Facts about signals, slots and events of the bindings, on which qtinter rests, told without it.

If one of these fails with a new binding, look for the workaround that names it.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
import weakref
from typing import Any, Callable

import pytest
import qtpy
from harness import run_program
from qtpy import QtCore

PYQT = qtpy.PYQT5 or qtpy.PYQT6


class Sender(QtCore.QObject):
    """A QObject with a signal."""

    signal = QtCore.Signal(int)


class Receiver:
    """An object with a method."""

    def method(self, x: int) -> None:
        """Do nothing."""


class QtReceiver(QtCore.QObject):
    """A QObject with a method."""

    method = Receiver.method


def receivers(sender: Any) -> int:
    """How many receivers the signal has."""
    return sender.receivers(sender.signal if PYQT else QtCore.SIGNAL("signal(int)"))


def let_qt_delete() -> None:
    """Have deferred deletions done."""
    for _ in range(3):
        QtCore.QCoreApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)


def destroy(how: str, holder: list[Any]) -> None:
    """Destroy the QObject in a list."""
    if how == "del":
        holder.clear()
    elif how == "deleteLater":
        holder[0].deleteLater()
    else:
        parent = QtCore.QObject()
        holder[0].setParent(parent)
        holder.clear()
        parent.deleteLater()
    let_qt_delete()


DESTRUCTIONS = ["del", "deleteLater", "with its parent"]


@pytest.mark.parametrize("how", DESTRUCTIONS)
def test_receiver_is_finalised_when_the_sender_dies(qapp: Any, how: str) -> None:
    """A function that only its connection keeps alive is finalised when the sender dies."""
    holder = [Sender()]

    def function(x: int) -> None: ...

    holder[0].signal.connect(function)
    reference = weakref.ref(function)
    del function
    gc.collect()
    assert reference() is not None
    destroy(how, holder)
    assert reference() is None


def test_bound_signal_does_not_keep_the_sender(qapp: Any) -> None:
    """Neither a bound signal nor what connect() returns keeps the sender alive."""
    sender = Sender()
    reference = weakref.ref(sender)
    signal = sender.signal
    connection = signal.connect(lambda x: None)
    del sender
    assert reference() is None
    del signal, connection


@pytest.mark.skipif(qtpy.PYSIDE2, reason="connect() of PySide2 returns True")
@pytest.mark.parametrize("how", DESTRUCTIONS)
def test_connection_knows_whether_the_sender_lives(qapp: Any, how: str) -> None:
    """QObject.disconnect(connection) is True once while the sender lives, and False afterwards."""
    holder = [Sender()]
    signal = holder[0].signal
    connections = [signal.connect(lambda x: None) for _ in range(2)]
    assert isinstance(connections[0], QtCore.QMetaObject.Connection)
    assert QtCore.QObject.disconnect(connections[0])
    assert not QtCore.QObject.disconnect(connections[0])
    destroy(how, holder)
    assert not QtCore.QObject.disconnect(connections[1])


@pytest.mark.skipif(not PYQT, reason="a matter of PyQt's proxies")
def test_proxy_of_pyqt_outlives_the_connection(qapp: Any) -> None:
    """After QObject.disconnect(connection) PyQt keeps the receiver, until the signal is told to disconnect it as well."""
    sender = Sender()

    def function(x: int) -> None: ...

    connection = sender.signal.connect(function)
    QtCore.QObject.disconnect(connection)
    let_qt_delete()
    reference = weakref.ref(function)
    with pytest.raises(TypeError):
        sender.signal.disconnect(function)
    del function
    let_qt_delete()
    assert reference() is None


@pytest.mark.parametrize("cls", [Receiver, QtReceiver])
def test_bound_methods_are_held_weakly(qapp: Any, cls: Any) -> None:
    """A connection does not keep the object of a bound method alive; PyQt notices at the next emission that it is gone."""
    sender, receiver = Sender(), cls()
    sender.signal.connect(receiver.method)
    reference = weakref.ref(receiver)
    del receiver
    assert reference() is None
    assert receivers(sender) == (1 if PYQT else 0)
    sender.signal.emit(1)
    let_qt_delete()
    assert receivers(sender) == 0


@pytest.mark.parametrize("cls", [Receiver, QtReceiver])
def test_function_of_a_bound_method(qapp: Any, cls: Any) -> None:
    """PyQt5 and PySide2 do not hold the function of a bound method."""

    def function(self: Any, x: int) -> None: ...

    sender, receiver = Sender(), cls()
    before = sys.getrefcount(function)
    sender.signal.connect(types.MethodType(function, receiver))
    assert sys.getrefcount(function) - before == (0 if qtpy.PYQT5 or qtpy.PYSIDE2 else 1)


def test_clicked(qapp: Any) -> None:
    """PySide counts the parameters of a function to choose clicked(bool) or clicked(); *args count nothing, and win."""
    widgets = pytest.importorskip("qtpy.QtWidgets")
    log: list[Any] = []
    slots: dict[str, Callable[..., Any]] = {
        "none": lambda: log.append(()),
        "one": lambda x: log.append((x,)),
        "default": lambda x=42: log.append((x,)),
        "any": lambda *values: log.append(values),
    }
    expected = {"none": (), "one": (False,), "default": (False,), "any": (False,) if PYQT else ()}
    for name, slot in slots.items():
        button = widgets.QPushButton()
        button.clicked.connect(slot)
        button.click()
        assert log.pop() == expected[name], name


def test_temporary_arguments(qapp: Any) -> None:
    """PyQt may not own a QItemSelection that a signal passes by reference; it is a sip.simplewrapper and no sip.wrapper.

    It owns all other values that were tried, and PyQt5 with Qt 5.15.2 on Windows owns this one too. What is passed by pointer is
    a sip.wrapper.
    """
    widgets = pytest.importorskip("qtpy.QtWidgets")
    from qtpy import QtGui

    if not PYQT:
        pytest.skip("PySide copies")
    from qtpy import sip

    log: list[Any] = []

    def slot(new: Any, old: Any) -> None:
        log.append((isinstance(new, sip.simplewrapper), isinstance(new, sip.wrapper)))

    model, tree = QtGui.QStandardItemModel(3, 3), widgets.QTreeWidget()
    view = widgets.QTableView()
    view.setModel(model)
    view.selectionModel().selectionChanged.connect(slot)
    view.selectRow(1)
    assert log == [(True, False)]
    tree.currentItemChanged.connect(lambda item, _: log.append(isinstance(item, sip.wrapper)))
    item = widgets.QTreeWidgetItem(["x"])
    tree.addTopLevelItem(item)
    tree.setCurrentItem(item)
    assert log[1] is True


def test_signals_are_hashable(qapp: Any) -> None:
    """Bound signals of the same object are equal and have equal hashes, those of others are not."""
    one, two = Sender(), Sender()
    assert one.signal == one.signal
    assert hash(one.signal) == hash(one.signal)
    assert one.signal != two.signal
    assert len({one.signal: 1, two.signal: 2, one.objectNameChanged: 3}) == 3


@pytest.mark.parametrize("is_replaced", [False, True])
def test_exception_in_a_slot(is_replaced: bool) -> None:
    """An exception that leaves a slot makes PyQt abort the process, unless sys.excepthook has been replaced."""
    code = """
        app = QtCore.QCoreApplication([])
        class Sender(QtCore.QObject):
            signal = QtCore.Signal()
        sender = Sender()
        sender.signal.connect(lambda: 1 / 0)
        if IS_REPLACED:
            sys.excepthook = lambda *about: sys.__excepthook__(*about)
        sender.signal.emit()
        print("alive", flush=True)
    """
    prelude = f"import sys\nfrom qtpy import QtCore\nIS_REPLACED = {is_replaced}\n"
    ended = run_program(code, prelude=prelude)
    assert ended.lines == (["alive"] if is_replaced or not PYQT else [])


class Where:
    """Remembers the threads in which its methods are called."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def method(self, x: int) -> None:
        """Remember."""
        self.threads.append(threading.get_ident())


class QtWhere(QtCore.QObject):
    """The same as QObject."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    method = Where.method


@pytest.mark.parametrize(
    "kind", ["function", "method", "method of a QObject", "method that a QObject's class has not"]
)
def test_thread_of_a_slot(qapp: Any, kind: str) -> None:
    """The sender lives and emits in another thread: PySide6 calls only real methods of a QObject in their thread."""
    thread, sender = QtCore.QThread(), Sender()
    sender.moveToThread(thread)
    where, there = (QtWhere() if "QObject" in kind else Where()), []

    def function(x: int) -> None:
        where.method(x)

    def strange(self: Any, x: int) -> None:
        self.method(x)

    slot: Any = where.method
    if kind == "function":
        slot = function
    elif "has not" in kind:
        slot = types.MethodType(strange, where)
    sender.signal.connect(slot)

    class Emitter(QtCore.QObject):
        begin = QtCore.Signal()

        @QtCore.Slot()
        def work(self) -> None:
            there.append(threading.get_ident())
            sender.signal.emit(1)

    emitter = Emitter()
    emitter.begin.connect(emitter.work)
    emitter.moveToThread(thread)
    thread.start()
    emitter.begin.emit()
    for _ in range(500):
        if where.threads:
            break
        QtCore.QCoreApplication.processEvents()
        QtCore.QThread.msleep(2)
    thread.quit()
    assert thread.wait(5000)
    in_thread_of_sender = qtpy.PYSIDE6 and kind != "method of a QObject"
    assert where.threads == (there if in_thread_of_sender else [threading.get_ident()])


@pytest.mark.parametrize("has_method", [True, False])
def test_slot_of_a_deleted_qobject(qapp: Any, has_method: bool) -> None:
    """PySide goes on calling a method that the class has not, when the C++ object is gone and the Python object is not."""
    sender, receiver, log = Sender(), QtWhere(), []

    def strange(self: Any, x: int) -> None:
        log.append(x)

    sender.signal.connect(receiver.method if has_method else types.MethodType(strange, receiver))
    receiver.deleteLater()
    let_qt_delete()
    sender.signal.emit(1)
    assert receiver.threads == []
    assert log == ([] if PYQT or has_method else [1])


def test_posted_events_behind_one_that_opens_a_loop(qapp: Any) -> None:
    """That loop delivers them at once, except for Qt 5 with GLib, which waits for the next event to be posted."""
    log: list[str] = []

    class Receiver(QtCore.QObject):
        def __init__(self, call: Callable[[], None]) -> None:
            super().__init__()
            self._call = call

        def customEvent(self, event: Any) -> None:
            self._call()

    def open_loop() -> None:
        loop = QtCore.QEventLoop()
        timer = QtCore.QTimer()
        timer.timeout.connect(loop.quit)
        timer.start(20)
        loop.exec_()
        log.append("closed")

    receivers = [Receiver(open_loop), Receiver(lambda: log.append("behind"))]
    for receiver in receivers:
        qapp.postEvent(receiver, QtCore.QEvent(QtCore.QEvent.User))
    qapp.processEvents()
    qapp.processEvents()
    dispatcher = QtCore.QAbstractEventDispatcher.instance().metaObject().className()
    if qtpy.QT5 and dispatcher.endswith("Glib"):
        assert log == ["closed", "behind"]
    else:
        assert log == ["behind", "closed"]
