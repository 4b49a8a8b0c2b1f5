"""What the two examples of the sieve of Eratosthenes show: a grid of numbers, a text, a button.

There is nothing asynchronous here.
"""

from qtpy import QtCore, QtGui, QtWidgets

LAST = 120
COLUMNS = 12
WIDTH, HEIGHT = 36, 26  # of a number, in pixels

GROUND = "#ffffff"
PRIME = "#ffd166"
STRUCK = {2: "#8ecae6", 3: "#a7c957", 5: "#f4978e", 7: "#c8b6ff"}  # by the multiples of what


class Grid(QtWidgets.QWidget):
    """The numbers from 1 to LAST."""

    def __init__(self):
        super().__init__()
        self.setFixedSize(COLUMNS * WIDTH, -(-LAST // COLUMNS) * HEIGHT)
        self.colors = {}

    def paint(self, number, color):
        """Give a number its colour, unless it has one."""
        self.colors.setdefault(number, color)
        self.update()

    def clear(self):
        """Begin again."""
        self.colors.clear()
        self.update()

    def paintEvent(self, event):
        """Called by Qt."""
        painter = QtGui.QPainter(self)
        for number in range(1, LAST + 1):
            row, column = divmod(number - 1, COLUMNS)
            cell = QtCore.QRect(column * WIDTH, row * HEIGHT, WIDTH - 1, HEIGHT - 1)
            painter.fillRect(cell, QtGui.QColor(self.colors.get(number, GROUND)))
            painter.drawText(cell, QtCore.Qt.AlignCenter, str(number))
        painter.end()


class Window(QtWidgets.QWidget):
    """The grid, and below it what belongs to it. `tick` is what everything is synchronised by."""

    tick = QtCore.Signal()

    def __init__(self, title):
        super().__init__()
        self.setWindowTitle(title)
        self.grid = Grid()
        self.text = QtWidgets.QLabel("Which are the primes?")
        self.button = QtWidgets.QPushButton("Sieve")
        self.speed = QtWidgets.QSpinBox()
        self.speed.setRange(1, 1000)
        self.speed.setSuffix(" ms a tick")
        self.speed.setValue(50)
        layout = QtWidgets.QGridLayout(self)
        layout.addWidget(self.grid, 0, 0, 1, 3, QtCore.Qt.AlignCenter)
        layout.addWidget(self.text, 1, 0)
        layout.addWidget(self.speed, 1, 1)
        layout.addWidget(self.button, 1, 2)

    def begin(self):
        """Show that the sieve begins."""
        self.grid.clear()
        self.button.setEnabled(False)
        self.text.setText("...")

    def end(self, task):
        """Show that it is done: a callback for the task of a slot."""
        self.button.setEnabled(True)
        if not task.cancelled():
            primes = [number for number, color in self.grid.colors.items() if color == PRIME]
            self.text.setText(f"{len(primes)} primes, the last one is {max(primes)}.")
