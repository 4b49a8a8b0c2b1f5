"""Plays the user, for the tests: `--smoke` makes an example click and close by itself.

`--screenshot FILE` saves what it looks like on the way. Programs of your own need nothing of this.
"""

import asyncio
import faulthandler
import sys
import traceback

LONGEST_RUN = 60  # seconds

# Of a picture, in Qt's pixels: a screen may have several for each (QT_SCALE_FACTOR).
MARGIN = 12  # around each window
TITLE_BAR = 26

_playing = set()


def play(user):
    """Run the coroutine `user` beside the program, which fails if `user` does or if it ends first."""
    faulthandler.dump_traceback_later(LONGEST_RUN, exit=True)
    task = asyncio.get_running_loop().create_task(user)
    task.add_done_callback(_end)
    _playing.add(task)  # asyncio itself does not keep it alive.


def play_in_host(app, user):
    """Execute an application that runs no loop of asyncio itself; the user attaches one."""
    import qtinter

    faulthandler.dump_traceback_later(LONGEST_RUN, exit=True)
    with qtinter.attach() as attachment:
        task = attachment.create_task(user)
        task.add_done_callback(lambda _: app.exit())
        app.exec_()
        if not task.done():
            sys.exit("The program ended before its user was done.")
        task.result()


def _end(task):
    if task.cancelled():
        if sys.exc_info()[0] is not None:
            traceback.print_exc()  # What ended it, which the exit would hide.
        sys.exit("The program ended before its user was done.")
    if task.exception() is not None:
        traceback.print_exception(
            type(task.exception()), task.exception(), task.exception().__traceback__
        )
        sys.exit(1)


async def until(condition):
    """Wait until `condition()` is true."""
    while not condition():
        await asyncio.sleep(0.01)


def take_screenshot(*windows):
    """Save a picture of the windows, side by side, if the command line asks for it."""
    if "--screenshot" in sys.argv:
        file = sys.argv[sys.argv.index("--screenshot") + 1]
        if not _picture(windows).save(file):
            raise OSError(f"cannot save {file}")


def _picture(windows):
    from qtpy import QtGui

    ratio = windows[0].devicePixelRatio()
    width = sum(window.width() + MARGIN for window in windows) + MARGIN
    height = max(window.height() for window in windows) + TITLE_BAR + 2 * MARGIN
    picture = QtGui.QImage(round(width * ratio), round(height * ratio), QtGui.QImage.Format_RGB32)
    picture.setDevicePixelRatio(ratio)
    picture.fill(QtGui.QColor("white"))
    painter = QtGui.QPainter(picture)
    x = MARGIN
    for window in windows:
        painter.translate(x, MARGIN)
        _draw(painter, window)
        painter.resetTransform()
        x += window.width() + MARGIN
    painter.end()
    return picture


def _image(window):
    """What a widget or a window of QML shows."""
    return window.grab().toImage() if hasattr(window, "grab") else window.grabWindow()


def _title(window):
    from qtpy import QtGui

    if not hasattr(window, "windowTitle"):
        return window.title()
    title = window.windowTitle().replace("[*]", "*" if window.isWindowModified() else "")
    return title or QtGui.QGuiApplication.applicationDisplayName()


def _draw(painter, window):
    """Draw a window at the origin, in a plain frame: a program cannot see that of the desktop."""
    from qtpy import QtCore, QtGui

    bar = QtCore.QRect(0, 0, window.width(), TITLE_BAR)
    painter.fillRect(bar, QtGui.QColor("#4a5568"))
    painter.setPen(QtGui.QColor("white"))
    painter.drawText(bar, QtCore.Qt.AlignCenter, _title(window))
    ground = QtCore.QRect(QtCore.QPoint(0, TITLE_BAR), window.size())
    painter.drawImage(ground, _image(window))
    painter.setPen(QtGui.QColor("#4a5568"))
    painter.drawRect(-1, -1, window.width() + 1, TITLE_BAR + window.height() + 1)
