"""Plays the user, for the tests: `--smoke` makes an example click and close by itself.

`--screenshot FILE` saves what it looks like on the way. Programs of your own need nothing of this.
"""

import asyncio
import faulthandler
import sys
import traceback

LONGEST_RUN = 20  # seconds

_playing = set()


def play(user):
    """Run the coroutine `user` beside the program, which fails if `user` does or if it ends first."""
    faulthandler.dump_traceback_later(LONGEST_RUN, exit=True)
    task = asyncio.get_running_loop().create_task(user)
    task.add_done_callback(_end)
    _playing.add(task)  # asyncio itself does not keep it alive.


def _end(task):
    if task.cancelled():
        if sys.exc_info()[0] is not None:
            traceback.print_exc()  # What ended it, which the exit would hide.
        sys.exit("The program ended before its user was done.")
    if task.exception() is not None:
        traceback.print_exception(
            type(task.exception()), task.exception(), task.exception().__traceback__
        )
        sys.exit(1)


async def until(condition):
    """Wait until `condition()` is true."""
    while not condition():
        await asyncio.sleep(0.01)


def take_screenshot(widget):
    """Save a picture of `widget` if the command line asks for it."""
    if "--screenshot" in sys.argv:
        file = sys.argv[sys.argv.index("--screenshot") + 1]
        if not widget.grab().save(file):
            raise OSError(f"cannot save {file}")
