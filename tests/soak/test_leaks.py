"""A thousand loops leave nothing behind; a loop that nobody closes warns, and crashes nothing."""

from __future__ import annotations

import ast
import textwrap

import pytest
from exits.matrix import without_noise
from harness import output_of, run_program

LOOPS = 1000

RUNS = {
    "nested": """
        loop = qtinter.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        """,
    "nested, with a thread": """
        loop = qtinter.QiSelectorEventLoop(selectors.SelectSelector())
        loop.run_until_complete(main())
        loop.close()
        """,
    "attached": """
        with qtinter.QiRunner() as runner:
            task = runner.get_loop().create_task(main())
            task.add_done_callback(lambda _: app.exit())
            app.exec_()
        """,
    "attached, with a thread": """
        factory = lambda: qtinter.QiSelectorEventLoop(selectors.SelectSelector())
        with qtinter.QiRunner(loop_factory=factory) as runner:
            task = runner.get_loop().create_task(main())
            task.add_done_callback(lambda _: app.exit())
            app.exec_()
        """,
    "attach()": """
        with qtinter.attach() as attachment:
            task = attachment.create_task(main())
            task.add_done_callback(lambda _: app.exit())
            app.exec_()
        """,
    "run()": """
        qtinter.run(main())
        """,
}

MEASURE = """
import collections, gc
app = QtCore.QCoreApplication([])
def measure():
    app.processEvents()
    gc.collect()
    kinds = [kind for kind in map(type, gc.get_objects()) if issubclass(kind, QtCore.QObject)]
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return {
        "fds": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "Qt objects": len(kinds),
        "objects": len(gc.get_objects()),
        "KiB": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
    }
async def main():
    await asyncio.sleep(0)
"""


@pytest.mark.linux_only
@pytest.mark.parametrize("mode", RUNS)
def test_a_thousand_loops(mode: str) -> None:
    """A thousand loops that were run and closed leave no thread, fd, object or memory behind."""
    loops = LOOPS // 5 if "thread" in mode else LOOPS  # Each starts one, which takes its time.
    (line,) = output_of(
        MEASURE.strip()
        + "\ndef once():"
        + RUNS[mode]
        + f"""
for _ in range(200):
    once()
before = measure()
for _ in range({loops}):
    once()
after = measure()
say({{name: [before[name], after[name]] for name in before}})
"""
    )
    measured = ast.literal_eval(line)
    print(measured)
    for name, (before, after) in measured.items():
        # A loop that stayed would be some 30 objects and 10 KiB.
        allowed = {"KiB": 1024, "objects": 100}.get(name, 0)
        assert after - before <= allowed, (name, measured)


DROPPED = {
    "never run": "",
    "with a callback": "loop.call_soon(say, 'never')",
    "run": "loop.run_until_complete(asyncio.sleep(0.001))",
    "with a timer": "loop.run_until_complete(asyncio.sleep(0.001)); loop.call_later(9, say)",
    "with a reader": """
        loop.add_reader(here, int)
        there.send(b"x")
        loop.run_until_complete(asyncio.sleep(0.001))
        """,
    "with a job": """
        loop.run_in_executor(None, time.sleep, 0.01)
        loop.run_until_complete(asyncio.sleep(0))
        """,
    "stopped by Qt": "loop.call_later(0.01, app.exit); loop.run_forever()",
}


BEFORE = """
import gc, socket
gc.disable()
app = QtCore.QCoreApplication([])
here, there = socket.socketpair()
loop = qtinter.new_event_loop()
"""
AFTER = """
loop.itself = loop
del loop
COLLECT
app.processEvents()
say("end")
here.close()
there.close()
"""


@pytest.mark.parametrize("collected", ["here", "in a thread", "at exit"])
@pytest.mark.parametrize("state", DROPPED)
def test_dropped_loop(state: str, collected: str) -> None:
    """A loop that is dropped without close() gives a ResourceWarning; nothing crashes."""
    collect = {
        "here": "gc.collect()",
        "in a thread": "t = threading.Thread(target=gc.collect); t.start(); t.join()",
        "at exit": "",
    }[collected]
    ended = run_program(
        BEFORE + textwrap.dedent(DROPPED[state]) + AFTER.replace("COLLECT", collect),
        options=("-X", "dev", "-W", "default"),
    )
    assert ended.code == 0, ended
    assert ended.lines == ["end"]
    if collected != "at exit":
        assert "ResourceWarning: unclosed event loop" in without_noise(ended.errors), ended
