"""Jobs in threads that run a Qt event loop, with progress and Cancel: each of them draws a flower.

A job may use Qt's timers, signals and images in its thread; widgets are for the main thread only.
"""

import asyncio
import math
import sys
import threading

from qtpy import QtCore, QtGui, QtWidgets

import qtinter

SIZE, STEPS = 180, 360


def draw(petals: int, stop: threading.Event, *, progress) -> None:
    """In a thread. Draw a flower bit by bit, at the pace of a timer, and report what there is."""
    image = QtGui.QImage(SIZE, SIZE, QtGui.QImage.Format_RGB32)
    image.fill(QtGui.QColor("white"))
    angles = iter(range(STEPS))
    finished = QtCore.QEventLoop()

    def go_on():
        angle = next(angles, None)
        if angle is None or stop.is_set():
            finished.quit()
        else:
            draw_line(image, petals, math.radians(angle))
            progress(angle + 1, image.copy())

    timer = QtCore.QTimer()
    timer.timeout.connect(go_on)
    timer.start(5)
    finished.exec_()
    timer.stop()


def draw_line(image: QtGui.QImage, petals: int, angle: float) -> None:
    """In a thread. Draw a line from the centre, as long as the flower is wide there."""
    length = SIZE * (0.3 + 0.18 * math.sin(petals * angle))
    painter = QtGui.QPainter(image)
    painter.setRenderHint(QtGui.QPainter.Antialiasing)
    painter.setPen(QtGui.QPen(QtGui.QColor.fromHsvF(0.6 + length / SIZE / 2, 0.6, 0.9), 2))
    painter.translate(SIZE / 2, SIZE / 2)
    end = QtCore.QPointF(length * math.cos(angle), length * math.sin(angle))
    painter.drawLine(end * 0.2, end)
    painter.end()


class Flower(QtWidgets.QWidget):
    """A picture, and how much of it is there."""

    def __init__(self, petals: int) -> None:
        super().__init__()
        self.petals = petals
        self.picture = QtWidgets.QLabel(minimumWidth=SIZE, minimumHeight=SIZE)
        self.bar = QtWidgets.QProgressBar(maximum=STEPS)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.picture)
        layout.addWidget(self.bar)

    def show_progress(self, steps: int, image: QtGui.QImage) -> None:
        """Called in the main thread, with the newest report of the job."""
        self.bar.setValue(steps)
        self.picture.setPixmap(QtGui.QPixmap.fromImage(image))


class Window(QtWidgets.QWidget):
    """Three flowers, and a button that starts or cancels."""

    def __init__(self, executor: qtinter.QThreadExecutor) -> None:
        super().__init__()
        self.setWindowTitle("Flowers from threads")
        self.executor = executor
        self.stop = threading.Event()
        self.flowers = [Flower(petals) for petals in (5, 8, 13)]
        self.button = QtWidgets.QPushButton("Start")
        self.button.clicked.connect(qtinter.asyncslot(self.start_or_cancel))
        layout = QtWidgets.QGridLayout(self)
        for column, flower in enumerate(self.flowers):
            layout.addWidget(flower, 0, column)
        layout.addWidget(self.button, 1, 0, 1, 3)

    async def start_or_cancel(self) -> None:
        """The button: what it does depends on whether the threads are at work."""
        if self.button.text() == "Cancel":
            self.stop.set()  # draw_all() sees that the jobs have finished.
        else:
            await self.draw_all()

    async def draw_all(self) -> None:
        """Have all flowers drawn; cancelling this, as the end of the program does, stops them."""
        self.button.setText("Cancel")
        self.stop.clear()
        jobs = [
            self.executor.submit_with_progress(
                draw, flower.petals, self.stop, progress=flower.show_progress
            )
            for flower in self.flowers
        ]
        try:
            await asyncio.gather(*map(asyncio.wrap_future, jobs))
        finally:
            self.stop.set()
            self.button.setText("Start")


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    with qtinter.QThreadExecutor(3) as executor, qtinter.using_asyncio_from_qt():
        window = Window(executor)
        window.show()
        if "--smoke" in sys.argv:
            from _smoke import play

            play(draw_twice(window))
        app.exec_()


async def draw_twice(window: Window) -> None:
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    def steps():
        return [flower.bar.value() for flower in window.flowers]

    window.button.click()
    await until(lambda: min(steps()) > 0)
    window.button.click()
    await until(lambda: window.button.text() == "Start")
    assert max(steps()) < STEPS
    window.button.click()
    await until(lambda: max(steps()) > STEPS * 0.8)
    take_screenshot(window)
    await until(lambda: window.button.text() == "Start")
    assert steps() == [STEPS] * 3
    window.button.click()
    window.close()


if __name__ == "__main__":
    main()
