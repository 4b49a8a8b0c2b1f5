"""trio in Qt programs, Qt in trio programs: trio as a guest of the Qt loop. Needs the extra `qtinter[trio]`.

The adaptors of the package (asyncslot, asyncsignal and the rest) work in a trio run as they are.

    _runners.py   who starts and ends a run, and executes Qt meanwhile
    _guests.py    how trio's ticks are run by Qt; READ FIRST
    _tasks.py     what a slot returns in a trio run
"""

from ._runners import run as run
from ._runners import using_trio_from_qt as using_trio_from_qt
