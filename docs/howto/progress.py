"""Heavy work in a thread, with progress and a button that ends it."""

import asyncio
import sys
import threading

from qtpy import QtCore, QtWidgets

import qtinter


class Counter(QtCore.QObject):
    """Counts primes, slowly, in whatever thread it is called."""

    progressed = QtCore.Signal(int)

    def __init__(self):
        super().__init__()
        self.stopped = threading.Event()

    def count(self, limit):
        """Return how many primes there are below `limit`, or what was found when it was stopped."""
        self.stopped.clear()
        found = 0
        for number in range(2, limit):
            found += all(number % divisor for divisor in range(2, int(number**0.5) + 1))
            if number % 1000 == 0:
                self.progressed.emit(number)
            if self.stopped.is_set():
                break
        return found


class Window(QtWidgets.QWidget):
    """Shows the progress."""

    def __init__(self, executor):
        super().__init__()
        self.executor = executor
        self.counter = Counter()
        self.bar = QtWidgets.QProgressBar(maximum=100_000)
        self.label = QtWidgets.QLabel("Primes")
        self.button = QtWidgets.QPushButton("Count")
        self.stop_button = QtWidgets.QPushButton("Stop")
        layout = QtWidgets.QVBoxLayout(self)
        for widget in (self.label, self.bar, self.button, self.stop_button):
            layout.addWidget(widget)
        self.counter.progressed.connect(self.bar.setValue)
        self.button.clicked.connect(qtinter.asyncslot(self.count, when_busy="drop"))
        self.stop_button.clicked.connect(self.counter.stopped.set)

    async def count(self):
        """Have the work done elsewhere, wait for its result here."""
        self.label.setText("Counting …")
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self.executor, self.counter.count, self.bar.maximum()
            )
        finally:
            self.counter.stopped.set()  # The program may be ending.
        self.label.setText(f"{found} primes")


app = QtWidgets.QApplication(sys.argv)
with qtinter.QThreadExecutor(max_workers=1) as executor:
    window = Window(executor)
    window.show()
    with qtinter.using_asyncio_from_qt():
        app.exec_()
