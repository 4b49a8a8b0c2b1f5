"""asyncio (and trio) in Qt programs, Qt in asyncio programs, on every binding of Qt.

To understand the package, read _engine/driver.py first.
"""

import sys

from ._dialogs import asyncclose as asyncclose
from ._dialogs import asyncdialog as asyncdialog
from ._executor import QThreadExecutor as QThreadExecutor
from ._hosts import Attachment as Attachment
from ._hosts import attach as attach
from ._loops import QiBaseEventLoop as QiBaseEventLoop
from ._loops import QiDefaultEventLoop as QiDefaultEventLoop
from ._loops import QiSelectorEventLoop as QiSelectorEventLoop
from ._loops import new_event_loop as new_event_loop
from ._multisignals import multisignal as multisignal
from ._policies import QiDefaultEventLoopPolicy as QiDefaultEventLoopPolicy
from ._policies import QiSelectorEventLoopPolicy as QiSelectorEventLoopPolicy
from ._run import run as run
from ._runners import QiRunner as QiRunner
from ._runners import using_asyncio_from_qt as using_asyncio_from_qt
from ._runners import using_qt_from_asyncio as using_qt_from_asyncio
from ._signals import SenderDestroyedError as SenderDestroyedError
from ._signals import asyncsignal as asyncsignal
from ._slots import asyncslot as asyncslot
from ._streams import asyncsignalstream as asyncsignalstream
from ._tasks import modal as modal
from ._tasks import run_task as run_task

if sys.platform == "win32":
    from ._loops import QiProactorEventLoop as QiProactorEventLoop
    from ._policies import QiProactorEventLoopPolicy as QiProactorEventLoopPolicy

__version__ = "1.0.0.dev0"
