"""An ordinary Qt program. Its window freezes while it loads."""

import sys
import time

from qtpy import QtWidgets


class Window(QtWidgets.QWidget):
    """A button and a label."""

    def __init__(self):
        super().__init__()
        self.button = QtWidgets.QPushButton("Load")
        self.label = QtWidgets.QLabel("Nothing loaded")
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.button)
        layout.addWidget(self.label)
        self.button.clicked.connect(self.load)

    def load(self):
        """Called for every click."""
        self.label.setText("Loading …")
        time.sleep(1)
        self.label.setText("Loaded")


app = QtWidgets.QApplication(sys.argv)
window = Window()
window.show()
app.exec_()
