"""Controls an instrument over TCP, here an oven; if the connection is lost, it connects again.

The oven is simulated, and speaks SCPI as instruments in laboratories do. One that hangs on a serial
line differs in `connect` only.
"""

import asyncio
import contextlib
import random
import socket
import sys

from qtpy import QtWidgets

import qtinter


class Oven:
    """The oven as the program sees it: one question at a time, whoever asks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.lock = asyncio.Lock()

    async def ask(self, question: str) -> float:
        """Return the answer to a question."""
        async with self.lock:
            await self.send(question)
            answer = await asyncio.wait_for(self.reader.readline(), timeout=2)
        if not answer:
            raise ConnectionResetError("The oven has hung up")
        return float(answer)

    async def send(self, command: str) -> None:
        """Send a command, to which there is no answer."""
        self.writer.write(f"{command}\n".encode())
        await self.writer.drain()


@contextlib.asynccontextmanager
async def connect(port: int):
    """Give an Oven, as long as the block lasts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Oven(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class Panel(QtWidgets.QWidget):
    """How hot the oven is, and how hot it shall be."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Oven")
        self.thermometer = QtWidgets.QProgressBar(maximum=300, textVisible=False)
        self.display = QtWidgets.QLCDNumber(5, minimumWidth=280, minimumHeight=80)
        self.display.setSegmentStyle(QtWidgets.QLCDNumber.Flat)
        self.display.setSmallDecimalPoint(True)
        self.target = QtWidgets.QSpinBox(maximum=300, suffix=" °C", enabled=False)
        self.target.valueChanged.connect(qtinter.asyncslot(self.set_target))
        self.status = QtWidgets.QLabel("Connecting …")
        layout = QtWidgets.QFormLayout(self)
        layout.addRow(self.display)
        layout.addRow(self.thermometer)
        layout.addRow("Heat to", self.target)
        layout.addRow(self.status)

    async def follow(self, port: int) -> None:
        """Show the temperature until the program ends, over as many connections as it takes."""
        while True:
            try:
                async with connect(port) as self.oven:
                    await self.measure()
            except (OSError, asyncio.TimeoutError) as error:
                self.status.setText(f"{error}; trying again …")
                self.target.setEnabled(False)
            await asyncio.sleep(0.5)

    async def measure(self) -> None:
        """Ask for the temperature again and again."""
        self.target.setValue(round(await self.oven.ask("SOURCE:TEMPERATURE?")))
        self.target.setEnabled(True)
        self.status.setText("Connected")
        while True:
            temperature = await self.oven.ask("MEASURE:TEMPERATURE?")
            self.display.display(f"{temperature:.1f}")
            self.thermometer.setValue(round(temperature))
            await asyncio.sleep(0.1)

    async def set_target(self, celsius: int) -> None:
        """Called when the user has changed it."""
        await self.oven.send(f"SOURCE:TEMPERATURE {celsius}")


class SimulatedOven:
    """The other end of the connection."""

    def __init__(self) -> None:
        self.temperature, self.target = 20.0, 20.0
        self.writer = None  # To the one who is connected.

    async def serve(self, listener: socket.socket) -> None:
        """Get warmer or colder, and answer, until cancelled."""
        async with await asyncio.start_server(self.answer, sock=listener):
            while True:
                await asyncio.sleep(0.05)
                self.temperature += 0.1 * (self.target - self.temperature) + random.uniform(-1, 1)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what the lines say."""
        self.writer = writer
        try:
            async for line in reader:
                command, _, value = line.decode().strip().partition(" ")
                if command == "MEASURE:TEMPERATURE?":
                    writer.write(f"{self.temperature:.1f}\n".encode())
                elif command == "SOURCE:TEMPERATURE?":
                    writer.write(f"{self.target:.1f}\n".encode())
                elif command == "SOURCE:TEMPERATURE":
                    self.target = float(value)
        except asyncio.CancelledError:
            pass  # Python 3.11.7 and 3.12.1 take it for an error, if passed on.
        finally:
            writer.close()


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    listener = socket.create_server(("127.0.0.1", 0))
    panel, simulation = Panel(), SimulatedOven()
    panel.show()
    with qtinter.using_asyncio_from_qt():
        tasks = [simulation.serve(listener), panel.follow(listener.getsockname()[1])]
        tasks = [asyncio.create_task(task) for task in tasks]
        if "--smoke" in sys.argv:
            from _smoke import play

            play(heat(panel, simulation))
        app.exec_()


async def heat(panel: Panel, simulation: SimulatedOven) -> None:
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    await until(panel.target.isEnabled)
    assert panel.target.value() == 20
    panel.target.setValue(180)
    await until(lambda: panel.display.value() > 150)
    take_screenshot(panel)
    simulation.writer.close()
    await until(lambda: "hung up" in panel.status.text())
    await until(lambda: panel.status.text() == "Connected")
    assert panel.target.value() == 180
    panel.close()


if __name__ == "__main__":
    main()
