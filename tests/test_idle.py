"""An idle loop costs nothing: no processor time, no wake-up, no thread, no select(). Seen from outside, by what Linux counts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import output_of, start_program

# Opens 100 connections to itself and then does nothing.
PROGRAM = """
app = QtCore.QCoreApplication([])

async def serve(reader, writer):
    await reader.read()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    streams = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(100)]
    say("connected")
    await asyncio.sleep(1000)
"""

MODES = {
    "attached": """
with qtinter.QiRunner(loop_factory=lambda: qtinter.QiSelectorEventLoop({selector})):
    task = asyncio.ensure_future(main())
    app.exec_()
""",
    "nested": """
loop = qtinter.QiSelectorEventLoop({selector})
loop.run_until_complete(main())
loop.close()
""",
}


@pytest.mark.linux_only
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("selector", "threads"), [("selectors.EpollSelector()", 1), ("selectors.SelectSelector()", 2)]
)
def test_idle(mode, selector, threads):
    """With 100 idle connections a second costs less than 1 ms of processor time and no wake-up; only a poller without an fd has a thread."""
    process = start_program(PROGRAM + MODES[mode].format(selector=selector))
    try:
        assert process.stdout.readline() == "connected\n"
        time.sleep(
            0.2
        )  # The last slice ends, its alarm rings once more, the helper thread goes to wait.
        nanoseconds, wake_ups, tasks = accounts(process.pid)
        time.sleep(1)
        nanoseconds_later, wake_ups_later, _ = accounts(process.pid)
    finally:
        process.kill()
        process.communicate()
    assert nanoseconds_later - nanoseconds < 1_000_000
    assert wake_ups_later - wake_ups <= 1
    assert tasks == threads


# Writes 40 bytes, one after the other, at intervals longer than a slice's alarm takes.
BEATS = "import os, time; [(time.sleep(0.02), os.write(1, b'x')) for _ in range(40)]"

# Says how often its main thread goes to wait while the last 30 of them come.
LISTENER = f"""
app = QtCore.QCoreApplication([])

def waits():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("voluntary")).split()[1])

async def main():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", {BEATS!r}), stdout=asyncio.subprocess.PIPE
    )
    for number in range(40):
        if number == 10:
            before = waits()
        await process.stdout.readexactly(1)
    say(waits() - before)
    await process.wait()
    app.exit()
"""


@pytest.mark.linux_only
@pytest.mark.parametrize("mode", MODES)
def test_a_wake_up_for_each_event(mode):
    """A loop that mostly sleeps wakes up once for each byte that comes, and not once more for nothing."""
    counts = []
    for _ in range(3):  # A busy machine makes the process wait for other things as well.
        (waits,) = output_of(LISTENER + MODES[mode].format(selector="selectors.EpollSelector()"))
        counts.append(int(waits))
        if counts[-1] <= 45:
            break
    assert min(counts) <= 45, counts


def accounts(pid):
    """Return the processor time in ns, the number of times it went to wait, and the number of threads of a process."""
    nanoseconds = wake_ups = 0
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    for task in tasks:
        nanoseconds += int((task / "schedstat").read_text().split()[0])
        status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        wake_ups += int(status["voluntary_ctxt_switches"])
    return nanoseconds, wake_ups, len(tasks)
