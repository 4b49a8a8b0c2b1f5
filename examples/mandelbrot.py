"""Heavy work in a process pool, with a progress bar and Cancel: a picture appears row by row.

The processes report through a queue, to which a thread listens: that works on every system.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor

from qtpy import QtGui, QtWidgets

import qtinter

WIDTH, HEIGHT, DEPTH = 390, 260, 120


# What the processes do. The functions get what all processes share when their process starts.


def prepare(queue, cancelled) -> None:
    """Called once in each process."""
    prepare.queue, prepare.cancelled = queue, cancelled
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the window, which then ends us.


def paint(rows: range) -> None:
    """Report each row: its number and a byte for each point."""
    for y in rows:
        if prepare.cancelled.is_set():
            return
        points = (complex(3 * x / WIDTH - 2.2, 2 * y / HEIGHT - 1) for x in range(WIDTH))
        prepare.queue.put((y, bytes(map(count_steps, points))))


def count_steps(point: complex) -> int:
    """Return after how many steps a point leaves the circle, or DEPTH if it stays."""
    z = 0j
    for step in range(DEPTH):
        if abs(z) > 2:
            return step
        z = z * z + point
    return DEPTH


class Window(QtWidgets.QWidget):
    """A picture, how much of it is there, and a button that starts or cancels."""

    def __init__(self, pool, queue, cancelled) -> None:
        super().__init__()
        self.setWindowTitle("Mandelbrot set")
        self.pool, self.queue, self.cancelled = pool, queue, cancelled
        self.picture = QtWidgets.QLabel()
        self.bar = QtWidgets.QProgressBar(maximum=HEIGHT)
        self.button = QtWidgets.QPushButton("Cancel")
        self.button.clicked.connect(qtinter.asyncslot(self.start_or_cancel))
        layout = QtWidgets.QGridLayout(self)
        layout.addWidget(self.picture, 0, 0, 1, 2)
        layout.addWidget(self.bar, 1, 0)
        layout.addWidget(self.button, 1, 1)
        shades = [(n / DEPTH) ** 0.35 for n in range(DEPTH + 1)]  # From dark blue to yellow.
        self.colors = [
            QtGui.QColor.fromHsvF(0.65 - t / 2, 0.7, 0.3 + 0.7 * t).rgb() for t in shades
        ]
        self.colors[DEPTH] = QtGui.QColor("black").rgb()
        self.clear()

    def clear(self) -> None:
        """Begin with an empty picture."""
        self.image = QtGui.QImage(WIDTH, HEIGHT, QtGui.QImage.Format_RGB32)
        self.image.fill(QtGui.QColor("white"))
        self.picture.setPixmap(QtGui.QPixmap.fromImage(self.image))
        self.bar.setValue(0)

    async def start_or_cancel(self) -> None:
        """The button: what it does depends on whether the processes are at work."""
        if self.button.text() == "Cancel":
            self.cancelled.set()  # draw() sees that the processes have finished.
        else:
            await self.draw()

    async def draw(self) -> None:
        """Let the processes paint; cancelling this, as the end of the program does, stops them."""
        self.clear()
        self.cancelled.clear()
        self.button.setText("Cancel")
        loop = asyncio.get_running_loop()
        listening = loop.run_in_executor(None, self.listen, loop)
        jobs = [
            loop.run_in_executor(self.pool, paint, range(first, HEIGHT, os.cpu_count()))
            for first in range(os.cpu_count())
        ]
        try:
            await asyncio.gather(*jobs)
        finally:
            self.cancelled.set()
            self.queue.put(None)
            await listening
            self.button.setText("Start")

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread. Hand over what the processes report."""
        for y, points in iter(self.queue.get, None):
            loop.call_soon_threadsafe(self.show_row, y, points)

    def show_row(self, y: int, points: bytes) -> None:
        """Add a row to the picture."""
        row = QtGui.QImage(points, WIDTH, 1, WIDTH, QtGui.QImage.Format_Indexed8)
        row.setColorTable(self.colors)
        painter = QtGui.QPainter(self.image)
        painter.drawImage(0, y, row)
        painter.end()
        self.picture.setPixmap(QtGui.QPixmap.fromImage(self.image))
        self.bar.setValue(self.bar.value() + 1)


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    context = multiprocessing.get_context("spawn")  # To fork a process with threads is unsafe.
    shared = context.SimpleQueue(), context.Event()
    pool = ProcessPoolExecutor(mp_context=context, initializer=prepare, initargs=shared)
    window = Window(pool, *shared)
    window.show()
    with pool, qtinter.using_asyncio_from_qt():
        drawing = asyncio.create_task(window.draw())
        if "--smoke" in sys.argv:
            from _smoke import play

            play(watch(window, drawing))
        app.exec_()


async def watch(window: Window, drawing: asyncio.Task) -> None:
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    await until(lambda: window.bar.value() > 0)
    window.button.click()
    await drawing
    assert window.button.text() == "Start"
    assert window.bar.value() < HEIGHT
    window.button.click()
    await until(lambda: window.bar.value() > HEIGHT * 0.7)
    take_screenshot(window)
    await until(lambda: window.button.text() == "Start")
    assert window.bar.value() == HEIGHT
    assert window.image.pixelColor(WIDTH * 2 // 3, HEIGHT // 2).name() == "#000000"
    window.button.click()
    await until(lambda: window.bar.value() > 0)
    window.close()


if __name__ == "__main__":
    main()
