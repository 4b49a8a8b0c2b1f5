"""Heavy work in other processes; the window stays quick."""

import asyncio
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from qtpy import QtWidgets

import qtinter


def count_primes(begin, end):
    """Return how many primes there are from `begin` to below `end`."""
    return sum(
        all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        for number in range(max(begin, 2), end)
    )


class Window(QtWidgets.QWidget):
    """Shows the progress."""

    def __init__(self, executor):
        super().__init__()
        self.executor = executor
        self.bar = QtWidgets.QProgressBar()
        self.label = QtWidgets.QLabel("Primes")
        self.button = QtWidgets.QPushButton("Count")
        layout = QtWidgets.QVBoxLayout(self)
        for widget in (self.label, self.bar, self.button):
            layout.addWidget(widget)
        self.button.clicked.connect(qtinter.asyncslot(self.count, when_busy="drop"))

    async def count(self):
        """Divide the work, add up the results as they come."""
        loop = asyncio.get_running_loop()
        parts = [
            loop.run_in_executor(self.executor, count_primes, begin, begin + 10_000)
            for begin in range(0, 100_000, 10_000)
        ]
        self.bar.setRange(0, len(parts))
        found = 0
        for number, part in enumerate(asyncio.as_completed(parts), 1):
            found += await part
            self.bar.setValue(number)
        self.label.setText(f"{found} primes")


if __name__ == "__main__":
    app = QtWidgets.QApplication(sys.argv)
    spawn = multiprocessing.get_context("spawn")  # Qt must not be forked.
    with ProcessPoolExecutor(mp_context=spawn) as executor:
        window = Window(executor)
        window.show()
        with qtinter.using_asyncio_from_qt():
            app.exec_()
