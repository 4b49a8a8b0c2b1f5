"""Plots a signal while it is emitted: a signal as an asynchronous iterator."""

import asyncio
import collections
import math
import random
import sys

from qtpy import QtCore, QtGui, QtWidgets

import qtinter


class Sensor(QtCore.QObject):
    """Something that measures and emits: 50 values a second, between -1 and 1."""

    measured = QtCore.Signal(float)

    def __init__(self):
        super().__init__()
        self.phase = 0.0
        self.timer = QtCore.QTimer()
        self.timer.timeout.connect(self.measure)
        self.timer.start(20)

    def measure(self):
        """Emit the next value."""
        self.phase += 0.1
        self.measured.emit(0.8 * math.sin(self.phase) + random.uniform(-0.1, 0.1))


class Plot(QtWidgets.QWidget):
    """The last values, the newest at the right."""

    def __init__(self):
        super().__init__()
        self.setWindowTitle("A live signal stream")
        self.resize(500, 250)
        self.values = collections.deque(maxlen=200)

    async def follow(self, signal):
        """Add each value that comes; when the plot is behind, the oldest ones are dropped."""
        async with qtinter.asyncsignalstream(signal, maxsize=10) as stream:
            async for value in stream:
                self.values.append(value)
                self.update()

    def paintEvent(self, event):
        """Draw the axis, the curve and a dot at its end."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        painter.fillRect(self.rect(), self.palette().base())
        middle, step = self.height() / 2, self.width() / self.values.maxlen
        painter.setPen(self.palette().mid().color())
        painter.drawLine(QtCore.QPointF(0, middle), QtCore.QPointF(self.width(), middle))
        points = [
            QtCore.QPointF(i * step, middle * (1 - value)) for i, value in enumerate(self.values)
        ]
        if points:
            painter.setPen(QtGui.QPen(QtGui.QColor("#2a78d4"), 2))
            painter.drawPolyline(QtGui.QPolygonF(points))
            painter.setBrush(QtGui.QColor("#2a78d4"))
            painter.drawEllipse(points[-1], 4, 4)
        painter.end()


def main():
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    sensor = Sensor()
    plot = Plot()
    plot.show()
    with qtinter.using_asyncio_from_qt():
        following = asyncio.create_task(plot.follow(sensor.measured))
        if "--smoke" in sys.argv:
            from _smoke import play

            play(watch(plot, following))
        app.exec_()


async def watch(plot, following):
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    await until(lambda: len(plot.values) > 150)
    assert not following.done()
    take_screenshot(plot)
    plot.close()


if __name__ == "__main__":
    main()
