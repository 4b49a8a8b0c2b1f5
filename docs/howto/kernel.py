"""A Jupyter kernel whose event loop is Qt-backed: windows and tasks live between the cells."""

import sys

from ipykernel.kernelapp import IPKernelApp
from qtpy import QtWidgets

import qtinter

app = QtWidgets.QApplication(sys.argv[:1])
app.setQuitOnLastWindowClosed(False)  # Only Jupyter ends the kernel.
with qtinter.using_qt_from_asyncio():
    IPKernelApp.launch_instance()
