"""A program whose main function is a coroutine: a window that counts down."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


async def main():
    """Return what the user has chosen, None if the window was closed."""
    window = QtWidgets.QPushButton("Stop")
    window.resize(240, 60)
    window.show()
    clicked = asyncio.ensure_future(qtinter.asyncsignal(window.clicked))
    try:
        for number in range(5, 0, -1):
            window.setText(f"Stop ({number})")
            done, _ = await asyncio.wait([clicked], timeout=1)
            if done:
                return "stopped"
        return "not stopped"
    finally:
        window.setText("Saving …")
        await asyncio.sleep(0.1)  # Cleaning up may await.


app = QtWidgets.QApplication(sys.argv)
print("You have", qtinter.run(main()))
