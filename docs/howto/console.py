"""IPython at a terminal; windows and tasks live while it waits for input."""

import asyncio
import sys

import IPython
from IPython.core.async_helpers import get_asyncio_loop
from qtpy import QtWidgets

import qtinter

app = QtWidgets.QApplication(sys.argv[:1])
app.setQuitOnLastWindowClosed(False)  # Only `exit` ends the console.
with qtinter.using_qt_from_asyncio():
    asyncio.set_event_loop(get_asyncio_loop())
    IPython.start_ipython(["--gui=asyncio", *sys.argv[1:]])
