"""The checks of `python -m qtinter`.

Each uses the package as programs do, and returns how long, in seconds, the thing took that it is
about. It fails by raising.

Not done here: running them one by one and telling the user (__main__.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import signal
import statistics
import sys
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable

from . import _qt
from ._loops import QiBaseEventLoop
from ._runners import using_asyncio_from_qt, using_qt_from_asyncio

if TYPE_CHECKING or importlib.util.find_spec("_ssl"):  # Python can be built without it.
    import ssl

# What a check may take. Most take some milliseconds; starting a process can take a second or two.
TIME_LIMIT = 10.0

_MESSAGE = bytes(1024)


def run_nested(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine function in nested mode, within the time limit; return its result."""

    async def limited() -> Any:
        with _time_limit():
            return await main()

    with using_qt_from_asyncio():
        return asyncio.run(limited())


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """End the run of this thread's loop when the time is over.

    It is Qt that looks at the clock, not asyncio, whose timers may be what is broken.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, QiBaseEventLoop)
    timer = _qt.QtCore.QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: loop.fail(TimeoutError(f"not done after {TIME_LIMIT:g} s")))
    timer.start(_qt.milliseconds(TIME_LIMIT))
    try:
        yield
    finally:
        timer.stop()


async def _timers() -> float:
    async def lateness(delay: float) -> float:
        due = perf_counter() + delay
        await asyncio.sleep(delay)
        return perf_counter() - due

    return max([await lateness(milliseconds / 1000) for milliseconds in range(1, 21)])


async def _tcp_echo() -> float:
    return await _echo()


async def _tls_echo() -> float:
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:  # OpenSSL takes them from a file only.
        file = Path(folder, "test.pem")
        file.write_text(_TEST_KEY + _TEST_CERTIFICATE)
        server_side.load_cert_chain(file)
    client_side = ssl.create_default_context(cadata=_TEST_CERTIFICATE)
    return await _echo(server_side, client_side)


async def _echo(
    server_side: ssl.SSLContext | None = None, client_side: ssl.SSLContext | None = None
) -> float:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(len(_MESSAGE)):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side)
    async with server:
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(
            host, port, ssl=client_side, server_hostname="localhost" if client_side else None
        )
        times = []
        for _ in range(100):
            began = perf_counter()
            writer.write(_MESSAGE)
            if await reader.readexactly(len(_MESSAGE)) != _MESSAGE:
                raise ValueError("what came back is not what was sent")
            times.append(perf_counter() - began)
        writer.close()
        await writer.wait_closed()
    return statistics.median(times)


async def _subprocess() -> float:
    began = perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", "print(input())"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(b"hello\n")
    if process.returncode or output.split() != [b"hello"]:
        raise ValueError(f"Python printed {output!r} and exited with {process.returncode}")
    return perf_counter() - began


async def _threads() -> float:
    times = []
    for _ in range(50):
        began = perf_counter()
        if await asyncio.to_thread(threading.get_ident) == threading.get_ident():
            raise ValueError("to_thread() ran its function in the thread of the loop")
        times.append(perf_counter() - began)
    return statistics.median(times)


def _injected_call() -> float:
    application = _qt.QtCore.QCoreApplication.instance()
    times: list[float] = []

    def slot() -> None:
        loop.call_soon(arrive, perf_counter())

    def arrive(began: float) -> None:
        times.append(perf_counter() - began)
        if len(times) == 20:
            application.quit()

    timer = _qt.QtCore.QTimer()
    timer.timeout.connect(slot)
    timer.start(2)
    with using_asyncio_from_qt() as runner, _time_limit():
        loop = runner.get_loop()
        try:
            _execute(application)
        finally:
            timer.stop()
    return statistics.median(times)


def _ctrl_c() -> float:
    sent = noticed = 0.0

    def send() -> None:
        nonlocal sent
        sent = perf_counter()
        signal.raise_signal(signal.SIGINT)

    def notice(number: int, frame: FrameType | None) -> None:
        nonlocal noticed
        noticed = perf_counter()
        signal.default_int_handler(number, frame)

    async def wait() -> None:
        sender.start()
        await asyncio.sleep(TIME_LIMIT / 2)

    sender = threading.Timer(0.1, send)  # Qt is idle by then.
    previous = signal.signal(signal.SIGINT, notice)
    try:
        run_nested(wait)
    except KeyboardInterrupt:
        if noticed - sent < TIME_LIMIT / 10:
            return noticed - sent
    finally:
        signal.signal(signal.SIGINT, previous)
        sender.join()
    raise TimeoutError("Ctrl-C was not noticed before Qt had something else to do")


async def _nested_qt_loop() -> float:
    dialog = _qt.QtCore.QEventLoop()  # What QDialog.exec() does.

    async def close_dialog() -> float:
        began = perf_counter()
        await asyncio.sleep(0.01)
        dialog.quit()
        return began

    other = asyncio.create_task(close_dialog())
    opened = perf_counter()
    _execute(dialog)
    return await other - opened


def _execute(qt_loop: Any) -> None:
    execute = getattr(qt_loop, "exec", None) or qt_loop.exec_  # PySide2 has exec_ only.
    execute()


def _nested(main: Callable[[], Coroutine[Any, Any, float]]) -> Callable[[], float]:
    return lambda: run_nested(main)


# What is checked, what the time is that is told, and the check.
CHECKS: list[tuple[str, str, Callable[[], float]]] = [
    ("timers", "late, the worst of 20", _nested(_timers)),
    ("TCP echo", "for a round trip", _nested(_tcp_echo)),
    ("subprocess", "from its start to its end", _nested(_subprocess)),
    ("threads", "there and back", _nested(_threads)),
    ("injected call", "from a slot under app.exec() to asyncio", _injected_call),
    ("Ctrl-C", "until Python notices, Qt being idle", _ctrl_c),
    ("nested Qt loop", "until the other tasks go on", _nested(_nested_qt_loop)),
]
if importlib.util.find_spec("_ssl"):
    CHECKS.append(("TLS echo", "for a round trip", _nested(_tls_echo)))

# For the TLS check only, and no secret: a self-signed certificate for "localhost", made for this
# file, that is valid from 2000 to 9999. Nothing else should ever trust it.
_TEST_KEY = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHpblAWYGmtI/VUa9
AR1yZ+iNFZyG+5FD8P8B9lFFGTGhRANCAARQoGmlYqWi/9O5MaMMe0W3NEsn5S2v
jf3YAmor+N9SJAT1mBhQeX1qI8iRzGRhKJiQzOKTyxGKTobNeS7SjJST
-----END PRIVATE KEY-----
"""
_TEST_CERTIFICATE = """
-----BEGIN CERTIFICATE-----
MIIBqzCCAVGgAwIBAgIBATAKBggqhkjOPQQDAjAxMRIwEAYDVQQDDAlsb2NhbGhv
c3QxGzAZBgNVBAoMEnF0aW50ZXIgc2VsZi1jaGVjazAgFw0wMDAxMDEwMDAwMDBa
GA85OTk5MTIzMTIzNTk1OVowMTESMBAGA1UEAwwJbG9jYWxob3N0MRswGQYDVQQK
DBJxdGludGVyIHNlbGYtY2hlY2swWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARQ
oGmlYqWi/9O5MaMMe0W3NEsn5S2vjf3YAmor+N9SJAT1mBhQeX1qI8iRzGRhKJiQ
zOKTyxGKTobNeS7SjJSTo1gwVjAUBgNVHREEDTALgglsb2NhbGhvc3QwDwYDVR0T
AQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0OBBYEFC228kZuKKqrXuRB
lbCWGeTKAM5FMAoGCCqGSM49BAMCA0gAMEUCIAG31eh6aA4sO63A9oEL/BLEy1tp
OEMGQesJmLl2RGqMAiEA5Mcm9aImbu90mPKKjbHgPa9dRstViIGR5IgKmONr/FU=
-----END CERTIFICATE-----
"""
