"""The sieve of Eratosthenes, watched at work: one coroutine for each prime; with trio."""

import sys

import trio
from _sieve import LAST, PRIME, STRUCK, Window
from qtpy import QtWidgets

import qtinter
import qtinter.trio


class Sieve(Window):
    """One coroutine gives the tick, a Qt signal, and all others wait for it."""

    def __init__(self):
        super().__init__("trio")
        self.button.clicked.connect(self.start)

    def start(self):
        """Called by the button."""
        self.begin()
        self.sieve().add_done_callback(self.end)

    @qtinter.asyncslot
    async def sieve(self):
        """Go through the numbers; whichever is not struck out yet is a prime."""
        async with trio.open_nursery() as nursery:
            for number in range(2, LAST + 1):
                await trio.sleep(self.speed.value() / 1000)
                self.tick.emit()
                if number not in self.grid.colors:
                    self.grid.paint(number, PRIME)
                    if number in STRUCK:
                        nursery.start_soon(self.strike_out, number)

    async def strike_out(self, prime):
        """Strike out the multiples of a prime, one at each tick."""
        number = prime * prime
        self.grid.paint(number, STRUCK[prime])
        async for _ in qtinter.asyncsignalstream(self.tick):
            number += prime
            if number > LAST:
                break
            self.grid.paint(number, STRUCK[prime])


def main():
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    window = Sieve()
    window.show()
    main_function = [click, window] if "--smoke" in sys.argv else []
    with qtinter.trio.using_trio_from_qt(*main_function):
        app.exec_()


async def click(window):
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot

    window.speed.setValue(2)
    window.button.click()
    with trio.fail_after(15):
        while "primes," not in window.text.text():
            await trio.sleep(0.01)
    take_screenshot(window)
    window.close()


if __name__ == "__main__":
    main()
