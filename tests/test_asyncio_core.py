"""Callbacks, timers, tasks and what is built on them do the same on plain asyncio and on every loop of ours, in every mode."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import sys
import threading
import time

import pytest

variable = contextvars.ContextVar("variable", default="default")


def test_call_soon_is_first_in_first_out(same):
    """Callbacks run in the order of their call_soon()."""

    async def main(log):
        loop = asyncio.get_running_loop()
        for number in range(100):
            loop.call_soon(log.append, number)
        await asyncio.sleep(0)

    assert same(main) == list(range(100))


def test_cancelled_handle_does_not_run(same):
    """A cancelled handle is skipped, the others run."""

    async def main(log):
        loop = asyncio.get_running_loop()
        loop.call_soon(log.append, "before")
        handle = loop.call_soon(log.append, "cancelled")
        loop.call_soon(log.append, "after")
        handle.cancel()
        log.append(handle.cancelled())
        await asyncio.sleep(0)

    assert same(main) == [True, "before", "after"]


def test_timers_run_in_the_order_of_their_times(same):
    """call_at() orders by time, whatever the order of the calls."""

    async def main(log):
        loop = asyncio.get_running_loop()
        now = loop.time()
        done = loop.create_future()
        for number in (3, 1, 5, 2, 4):
            loop.call_at(now + number / 500, log.append, number)
        loop.call_at(now + 6 / 500, done.set_result, None)
        await done

    assert same(main) == [1, 2, 3, 4, 5]


def test_timers_are_never_early(same):
    """A timer does not run before its time by loop.time(), but for that clock's own resolution, whatever Qt rounds."""
    resolution = time.get_clock_info("monotonic").resolution  # 16 ms on Windows

    async def main(log):
        loop = asyncio.get_running_loop()
        for delay in (0, 0.0001, 0.0007, 0.001, 0.0015, 0.0025, 0.01):
            due = loop.time() + delay
            done = loop.create_future()
            loop.call_at(due, done.set_result, None)
            await done
            log.append(loop.time() + resolution >= due)

    assert all(same(main))


@pytest.mark.parametrize("delay", [0, -1, -math.inf])
def test_timer_that_is_due_runs_at_once(same, delay):
    """call_later() of no time, or of a time in the past, runs in the next iteration."""

    async def main(log):
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(delay, done.set_result, "ran")
        log.append(await done)

    assert same(main) == ["ran"]


@pytest.mark.parametrize("delay", [3e6, 365 * 86400, 1e12, math.inf])
def test_timer_in_the_far_future_stands_in_nobodys_way(same, delay):
    """A timer beyond what Qt's 32-bit milliseconds can count neither runs early nor delays others."""

    async def main(log):
        loop = asyncio.get_running_loop()
        timer = loop.call_later(delay, log.append, "too early")
        await asyncio.sleep(0.01)
        log.append(timer.when() > loop.time() + 1e6)
        timer.cancel()
        await asyncio.sleep(0)

    assert same(main) == [True]


def test_time_is_monotonic(same):
    """loop.time() is time.monotonic()."""

    async def main(log):
        before = time.monotonic()
        now = asyncio.get_running_loop().time()
        log.append(before <= now <= time.monotonic())

    assert same(main) == [True]


def test_tasks_take_turns(same):
    """sleep(0) lets every other ready task run once."""

    async def main(log):
        async def count(name):
            for number in range(3):
                log.append((name, number))
                await asyncio.sleep(0)

        await asyncio.gather(count("a"), count("b"), count("c"))

    assert len(same(main)) == 9


def test_gather_wait_and_their_kind(same):
    """Results and errors of gather, wait, wait_for, shield and as_completed are those of plain asyncio."""

    async def main(log):
        async def give(value, delay=0.0):
            await asyncio.sleep(delay)
            if isinstance(value, Exception):
                raise value
            return value

        log.append(
            repr(
                await asyncio.gather(
                    give(1, 0.004), give(2), give(ValueError("3")), return_exceptions=True
                )
            )
        )
        with pytest.raises(ZeroDivisionError):
            await asyncio.gather(give(ZeroDivisionError()), give(1))
        quick, slow = asyncio.ensure_future(give("quick")), asyncio.ensure_future(give("slow", 30))
        done, pending = await asyncio.wait({quick, slow}, return_when=asyncio.FIRST_COMPLETED)
        log.append((done == {quick}, pending == {slow}))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(slow, 0.005)
        log.append(slow.cancelled())
        inner = asyncio.ensure_future(give("shielded", 0.01))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(inner), 0.001)
        log.append(await inner)
        futures = asyncio.as_completed([give("last", 0.02), give("first")])
        log.extend([await future for future in futures])

    assert same(main) == [
        "[1, 2, ValueError('3')]",
        (True, True),
        True,
        "shielded",
        "first",
        "last",
    ]


def test_queues(same):
    """A bounded Queue wakes its producers and consumers in the order of plain asyncio."""

    async def main(log):
        queue = asyncio.Queue(2)

        async def produce():
            for number in range(6):
                await queue.put(number)
                log.append(("put", number))

        async def consume():
            for _ in range(6):
                log.append(("got", await queue.get()))
                queue.task_done()

        await asyncio.gather(produce(), consume())
        await queue.join()

    assert len(same(main)) == 12


def test_locks(same):
    """Lock, Event, Condition and Semaphore wake their waiters in the order of plain asyncio."""

    async def main(log):
        lock, event, semaphore = asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(2)
        condition = asyncio.Condition()

        async def enter(name):
            async with lock, semaphore:
                log.append(("in", name))
                await asyncio.sleep(0)
                log.append(("out", name))
            await event.wait()
            log.append(("event", name))
            async with condition:
                await condition.wait()
                log.append(("condition", name))

        async def release():
            await _some_iterations()
            event.set()
            await _some_iterations()
            async with condition:
                condition.notify_all()

        await asyncio.gather(enter("a"), enter("b"), enter("c"), release())

    assert len(same(main)) == 12


async def _some_iterations():
    for _ in range(30):
        await asyncio.sleep(0)


def test_cancellation(same):
    """A cancelled task runs its `finally`, which may await, and reports CancelledError."""

    async def main(log):
        async def work():
            try:
                await asyncio.sleep(30)
            finally:
                log.append("cleaning")
                await asyncio.sleep(0.001)
                log.append("clean")

        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        log.append(task.cancel("enough"))
        with contextlib.suppress(asyncio.CancelledError):
            await task
        log.append((task.cancelled(), task.done(), task.cancel()))

    same(main)


def test_tasks_know_each_other(same):
    """current_task(), all_tasks() and the names of tasks are as in plain asyncio."""

    async def main(log):
        async def child():
            log.append(asyncio.current_task().get_name())
            log.append(len(asyncio.all_tasks()))

        task = asyncio.get_running_loop().create_task(child(), name="child")
        await task
        log.append(asyncio.current_task() is task)
        log.append(len(asyncio.all_tasks()))

    assert same(main) == ["child", 2, False, 1]


def test_context_variables(same):
    """Callbacks, timers and tasks run in the context of their creation, or in the one they are given."""

    async def main(log):
        loop = asyncio.get_running_loop()

        def look(what):
            log.append((what, variable.get()))

        async def task():
            look("task")
            variable.set("task's own")
            await asyncio.sleep(0.001)
            look("task, later")

        variable.set("main")
        given = contextvars.copy_context()
        given.run(variable.set, "given")
        loop.call_soon(look, "soon")
        loop.call_soon(look, "soon, given", context=given)
        loop.call_later(0.001, look, "later")
        loop.call_soon_threadsafe(look, "threadsafe, given", context=given)
        child = asyncio.ensure_future(task())
        variable.set("changed")
        await child
        await asyncio.sleep(0.005)
        look("main")

    log = dict(same(main))
    assert log["soon, given"] == log["threadsafe, given"] == "given"
    assert log["later"] == log["task"] == "main"
    assert log["main"] == "changed"


def test_exceptions_of_callbacks_reach_the_handler(same):
    """An error in a callback reaches the loop's exception handler, and the loop goes on."""

    async def main(log):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda loop, context: log.append(
                (context["message"][:28], repr(context["exception"]), sorted(context))
            )
        )
        loop.call_soon(lambda: 1 / 0)
        loop.call_later(0.001, lambda: [][1])
        loop.call_soon_threadsafe(lambda: {}["key"])
        await asyncio.sleep(0.01)
        log.append("still here")

    assert same(main)[-1] == "still here"


def test_exceptions_nobody_asks_for_reach_the_handler(same):
    """A task that fails and is dropped is reported."""

    async def main(log):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda loop, context: log.append((context["message"], repr(context["exception"])))
        )

        async def fail():
            raise ValueError("dropped")

        task = loop.create_task(fail())
        del task
        await asyncio.sleep(0.001)

    assert same(main) == [("Task exception was never retrieved", "ValueError('dropped')")]


def test_unfinished_asynchronous_generators_are_closed(same):
    """An async generator that was left half-way is closed at the end of the run, and may await then."""

    async def main(log):
        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0.001)
                log.append("closed")

        generator = numbers()
        log.append(await generator.__anext__())
        kept.append(generator)

    kept = []
    assert same(main) == [1, "closed"]


def test_dropped_asynchronous_generators_are_closed(same):
    """An async generator that is dropped half-way is closed soon."""

    async def main(log):
        async def numbers():
            try:
                yield 1
            finally:
                await asyncio.sleep(0)
                log.append("closed")

        async for number in numbers():
            log.append(number)
            break
        await asyncio.sleep(0.005)
        log.append("end")

    same(main)


def test_a_task_factory_is_used(same):
    """set_task_factory() decides how tasks are made."""

    async def main(log):
        loop = asyncio.get_running_loop()

        def factory(loop, coro, **keywords):
            log.append(sorted(set(keywords) & {"context"}))
            return asyncio.Task(coro, loop=loop, **keywords)

        loop.set_task_factory(factory)
        await loop.create_task(asyncio.sleep(0))
        loop.set_task_factory(None)

    same(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks(same):
    """With the eager task factory the first step runs at once."""

    async def main(log):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)

        async def child(delay):
            log.append(("start", delay))
            if delay:
                await asyncio.sleep(delay)
            log.append(("end", delay))
            return delay

        quick = asyncio.create_task(child(0))
        log.append(quick.done())
        slow = asyncio.create_task(child(0.001))
        log.append(slow.done())
        log.append(await slow)

    assert same(main) == [
        ("start", 0),
        ("end", 0),
        True,
        ("start", 0.001),
        False,
        ("end", 0.001),
        0.001,
    ]


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="TaskGroup and timeout came with Python 3.11"
)
def test_task_groups_and_timeouts(same):
    """A TaskGroup cancels its tasks when one fails; asyncio.timeout() ends what it surrounds."""

    async def main(log):
        async def child(name, delay):
            try:
                await asyncio.sleep(delay)
                if name == "bad":
                    raise ValueError(name)
            finally:
                log.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(child("one", 0.002))
            group.create_task(child("two", 0))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child("long", 30))
                group.create_task(child("bad", 0.001))
        except BaseException as error:
            log.append((type(error).__name__, repr(error.exceptions)))
        try:
            async with asyncio.timeout(0.005):
                await asyncio.sleep(30)
        except TimeoutError:
            log.append("timeout")
        async with asyncio.timeout(30) as scope:
            scope.reschedule(asyncio.get_running_loop().time() + 20)
        log.append(scope.expired())

    log = same(main)
    assert log == [
        "two",
        "one",
        "bad",
        "long",
        ("ExceptionGroup", "(ValueError('bad'),)"),
        "timeout",
        False,
    ]


def test_call_soon_threadsafe(same):
    """Callbacks from several threads all run, those of one thread in their order."""

    async def main(log):
        loop = asyncio.get_running_loop()
        received, done = [], loop.create_future()

        def receive(item):
            received.append(item)
            if len(received) == 400:
                done.set_result(None)

        def send(sender):
            for number in range(100):
                loop.call_soon_threadsafe(receive, (sender, number))

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
        for thread in threads:
            thread.start()
        await done
        for thread in threads:
            thread.join()
        log.extend([number for sender, number in received if sender == which] for which in range(4))

    assert same(main) == [list(range(100))] * 4


def test_run_coroutine_threadsafe(same):
    """Another thread can run a coroutine in the loop, get its result and cancel it."""

    async def main(log):
        loop = asyncio.get_running_loop()

        async def give():
            await asyncio.sleep(0.001)
            return threading.current_thread().name

        def work():
            result = asyncio.run_coroutine_threadsafe(give(), loop).result(10)
            endless = asyncio.run_coroutine_threadsafe(asyncio.sleep(30), loop)
            endless.cancel()
            return result, endless.cancelled()

        log.append(await loop.run_in_executor(None, work))

    assert same(main) == [("MainThread", True)]


def test_executors(same):
    """run_in_executor() and to_thread() give results and errors, and to_thread() passes the context on."""

    async def main(log):
        loop = asyncio.get_running_loop()
        variable.set("main")
        log.append(await asyncio.to_thread(variable.get))
        log.append(
            await asyncio.gather(
                *(loop.run_in_executor(None, abs, -number) for number in range(20))
            )
        )
        try:
            await asyncio.to_thread(lambda: 1 / 0)
        except ZeroDivisionError as error:
            log.append(repr(error))
        log.append(await asyncio.to_thread(threading.current_thread) is threading.main_thread())

    assert same(main)[-1] is False


def test_debug_mode_refuses_wrong_threads(same):
    """In debug mode call_soon(), call_later() and call_at() from a wrong thread are an error."""

    async def main(log):
        loop = asyncio.get_running_loop()
        loop.set_debug(True)

        def attempt(call):
            with pytest.raises(RuntimeError) as caught:
                call()
            log.append(str(caught.value))

        def work():
            attempt(lambda: loop.call_soon(print))
            attempt(lambda: loop.call_later(1, print))
            attempt(lambda: loop.call_at(1, print))

        await asyncio.to_thread(work)
        loop.set_debug(False)

    assert len(same(main)) == 3


def test_debug_mode_tells_where_a_handle_was_made(same):
    """In debug mode a handle's repr() ends with the line that made it, not with a line of the loop."""

    async def main(log):
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        for handle in (
            loop.call_soon(print),
            loop.call_later(30, print),
            loop.call_at(loop.time() + 30, print),
            loop.call_soon_threadsafe(print),
        ):
            log.append(repr(handle).rpartition(" created at ")[2])
            handle.cancel()
        loop.set_debug(False)

    assert all(__file__ in line for line in same(main))


def test_debug_mode_reports_slow_callbacks(same, caplog):
    """In debug mode a callback slower than slow_callback_duration is logged."""

    async def main(log):
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.005
        caplog.clear()
        loop.call_soon(time.sleep, 0.02)
        await asyncio.sleep(0.03)
        log.append(any("sleep(0.02)" in text and "took 0.0" in text for text in caplog.messages))
        loop.set_debug(False)

    assert same(main) == [True]


def test_running_loop_cannot_be_run(same):
    """run_until_complete() and asyncio.run() inside a running loop are errors, and the loop goes on."""

    async def main(log):
        loop = asyncio.get_running_loop()
        log.append((loop.is_running(), loop.is_closed()))
        for run in (loop.run_until_complete, asyncio.run):
            waiting = asyncio.sleep(0)
            try:
                run(waiting)
            except RuntimeError as error:
                log.append(str(error))
            waiting.close()
        await asyncio.sleep(0.001)
        log.append(asyncio.get_running_loop() is loop)

    assert same(main)[1] == "This event loop is already running"


def test_many_timers(same):
    """Two thousand timers, half of them cancelled, run as in plain asyncio."""

    async def main(log):
        loop = asyncio.get_running_loop()
        now = loop.time()
        timers = [
            loop.call_at(now + 0.02 + number * 1e-5, log.append, number) for number in range(2000)
        ]
        for timer in timers[::2]:
            timer.cancel()
        await asyncio.sleep(0.06)

    assert same(main) == list(range(1, 2000, 2))


def test_name_resolution(same):
    """getaddrinfo() and getnameinfo() work."""

    async def main(log):
        loop = asyncio.get_running_loop()
        log.append(sorted({info[4][:2] for info in await loop.getaddrinfo("127.0.0.1", 80)}))
        log.append((await loop.getnameinfo(("127.0.0.1", 80), 3))[0])

    same(main)
