"""Drives a Dask cluster from a window: many processes compute one number, with live progress.

The cluster is on this machine. Give `Client` the address of a scheduler instead of `cluster`, and
the same window drives a hundred machines.
"""

import asyncio
import logging
import random
import sys

from dask.distributed import Client, LocalCluster, as_completed, get_worker
from qtpy import QtCore, QtWidgets

import qtinter

WORKERS, BATCHES, DARTS = 2, 60, 80_000


def throw_darts(batch: int) -> tuple[int, int]:
    """On a worker. Return its number, and how many darts have hit a quarter of a disc."""
    dice = random.Random(batch)
    hits = sum(dice.random() ** 2 + dice.random() ** 2 < 1 for _ in range(DARTS))
    return get_worker().name, hits


class Window(QtWidgets.QWidget):
    """What is known of pi, and who has done how much for it."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Pi by throwing darts")
        self.result = QtWidgets.QLabel("Starting the cluster …", alignment=QtCore.Qt.AlignCenter)
        self.result.setStyleSheet("font-size: 22px; padding: 8px")
        self.total = QtWidgets.QProgressBar(maximum=BATCHES, value=0, minimumWidth=320)
        self.workers = [QtWidgets.QProgressBar(maximum=BATCHES) for _ in range(WORKERS)]
        self.button = QtWidgets.QPushButton("Start", enabled=False)
        self.button.clicked.connect(qtinter.asyncslot(self.start_or_cancel))
        layout = QtWidgets.QFormLayout(self)
        layout.addRow(self.result)
        layout.addRow("Everything", self.total)
        for number, bar in enumerate(self.workers):
            bar.setFormat("%v")
            layout.addRow(f"Worker {number}", bar)
        layout.addRow(self.button)
        self.closing = asyncio.Event()
        self.running = qtinter.asyncslot(self.run)()  # A task whose errors are reported at once.
        self.computing = None

    async def run(self) -> None:
        """Have a cluster as long as the window is open."""
        cluster = LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # Any free port.
            silence_logs=logging.CRITICAL,  # Workers complain if they are closed while at work.
            asynchronous=True,
        )
        async with cluster, Client(cluster, asynchronous=True) as self.client:
            self.result.setText("The cluster is ready")
            self.button.setEnabled(True)
            await self.closing.wait()
            if self.computing:
                self.computing.cancel()
                await asyncio.wait([self.computing])

    async def start_or_cancel(self) -> None:
        """The button."""
        if self.computing:
            self.computing.cancel()
        else:
            await self.compute()

    async def compute(self) -> None:
        """Throw all darts; cancelling this cancels what the cluster has not done yet."""
        self.computing = asyncio.current_task()
        self.button.setText("Cancel")
        for bar in (self.total, *self.workers):
            bar.setValue(0)
        hits = 0
        futures = self.client.map(throw_darts, range(BATCHES), pure=False)
        try:
            async for _, (worker, more) in as_completed(futures, with_results=True):
                hits += more
                for bar in (self.total, self.workers[worker]):
                    bar.setValue(bar.value() + 1)
                self.result.setText(f"π ≈ {4 * hits / self.total.value() / DARTS:.5f}")
        finally:
            await self.client.cancel(futures)
            self.button.setText("Start")
            self.computing = None

    @qtinter.asyncclose
    async def closeEvent(self, event) -> None:
        """Shut the cluster down before the window closes."""
        self.button.setEnabled(False)
        self.result.setText("Shutting down …")
        self.closing.set()
        await asyncio.wait([self.running])


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    with qtinter.using_asyncio_from_qt():
        window = Window()
        window.show()
        if "--smoke" in sys.argv:
            from _smoke import play

            play(throw_twice(window))
        app.exec_()


async def throw_twice(window: Window) -> None:
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    await until(window.button.isEnabled)
    window.button.click()
    await until(lambda: window.total.value() > 0)
    window.button.click()
    await until(lambda: window.button.text() == "Start")
    assert window.total.value() < BATCHES
    window.button.click()
    await until(lambda: window.total.value() > BATCHES * 0.6)
    take_screenshot(window)
    await until(lambda: window.button.text() == "Start")
    assert window.total.value() == BATCHES == sum(bar.value() for bar in window.workers)
    assert window.result.text().startswith("π ≈ 3.14")
    window.button.click()
    await until(lambda: window.total.value() < BATCHES)
    window.close()


if __name__ == "__main__":
    main()
