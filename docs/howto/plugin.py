"""A plugin that uses asyncio, in a host that knows nothing of it."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter

# The plugin.


class Plugin:
    """Adds a clock to the window of the host."""

    def load(self, window):
        """Called by the host, whose event loop is running."""
        self.label = QtWidgets.QLabel("0")
        window.layout().addWidget(self.label)
        self.attachment = qtinter.attach()
        self.attachment.create_task(self.tick())

    def unload(self):
        """Called by the host: end the tasks of this plugin, and no others."""
        self.attachment.close()
        self.label.deleteLater()

    async def tick(self):
        """Count tenths of a second."""
        while True:
            await asyncio.sleep(0.1)
            self.label.setText(str(int(self.label.text()) + 1))


# The host.


class Host(QtWidgets.QWidget):
    """Loads and unloads plugins while it runs."""

    def __init__(self):
        super().__init__()
        self.plugins = []
        self.load_button = QtWidgets.QPushButton("Load")
        self.unload_button = QtWidgets.QPushButton("Unload")
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.load_button)
        layout.addWidget(self.unload_button)
        self.load_button.clicked.connect(self.load)
        self.unload_button.clicked.connect(self.unload)

    def load(self):
        """Load one more."""
        self.plugins.append(Plugin())
        self.plugins[-1].load(self)

    def unload(self):
        """Unload the last one."""
        if self.plugins:
            self.plugins.pop().unload()


app = QtWidgets.QApplication(sys.argv)
host = Host()
host.show()
app.exec_()
while host.plugins:
    host.unload()
