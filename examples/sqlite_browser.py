"""Browses an SQLite database with aiosqlite: rows come when they are scrolled to; Cancel works.

`python sqlite_browser.py FILE` opens a database; without a file there is one to play with.
"""

import asyncio
import sqlite3
import sys
import threading
import time

import aiosqlite
from qtpy import QtCore, QtGui, QtWidgets

import qtinter

TO_PLAY_WITH = """
    CREATE TABLE planets (name, moons);
    INSERT INTO planets VALUES ('Earth', 1), ('Mars', 2), ('Venus', 0), ('Mercury', 0);
    CREATE TABLE weather AS
        WITH RECURSIVE minute(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM minute WHERE n < 9999)
        SELECT datetime('2026-01-01', n || ' minutes') AS time, n * 7919 % 290 / 10.0 AS celsius
        FROM minute;"""


class Rows(QtGui.QStandardItemModel):
    """What a query gives; the view asks for more when it has shown what there is."""

    AT_ONCE = 100

    def __init__(self, on_error) -> None:
        super().__init__()
        self.cursor = None  # Where the rest comes from.
        self.fetch_soon = qtinter.asyncslot(self.fetch, when_busy="drop", on_error=on_error)

    async def show(self, cursor: aiosqlite.Cursor) -> None:
        """Begin with what the cursor gives, instead of what was there."""
        self.clear()
        self.setHorizontalHeaderLabels([name for name, *_ in cursor.description or ()])
        self.cursor = cursor
        await self.fetch()

    async def fetch(self) -> None:
        """Add the next rows."""
        cursor = self.cursor
        rows = await cursor.fetchmany(self.AT_ONCE)
        if cursor is not self.cursor:
            return  # They are those of an earlier query.
        for row in rows:
            self.appendRow([QtGui.QStandardItem(str(value)) for value in row])
        if len(rows) < self.AT_ONCE:
            self.cursor = None

    def canFetchMore(self, parent: QtCore.QModelIndex) -> bool:
        """Called by the view: whether there is more."""
        return self.cursor is not None

    def fetchMore(self, parent: QtCore.QModelIndex) -> None:
        """Called by the view when the last row is in sight."""
        self.fetch_soon()


class Browser(QtWidgets.QWidget):
    """Tables at the left, a query above, what it gives below."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("SQLite browser")
        self.resize(560, 340)
        self.tables = QtWidgets.QListWidget(maximumWidth=120)
        self.tables.currentTextChanged.connect(self.choose)
        self.query = QtWidgets.QLineEdit()
        self.query.returnPressed.connect(qtinter.asyncslot(self.run, when_busy="restart"))
        self.cancel = QtWidgets.QPushButton("Cancel", enabled=False)
        self.cancel.clicked.connect(lambda: self.running.cancel())
        self.rows = Rows(on_error=self.report)
        self.view = QtWidgets.QTableView()
        self.view.setModel(self.rows)
        self.view.horizontalHeader().setStretchLastSection(True)
        self.view.horizontalHeader().setDefaultSectionSize(160)
        self.view.verticalHeader().setDefaultSectionSize(22)
        self.status = QtWidgets.QLabel()
        layout = QtWidgets.QGridLayout(self)
        layout.addWidget(self.tables, 0, 0, 3, 1)
        layout.addWidget(self.query, 0, 1)
        layout.addWidget(self.cancel, 0, 2)
        layout.addWidget(self.view, 1, 1, 1, 2)
        layout.addWidget(self.status, 2, 1, 1, 2)

    async def browse(self, file: str) -> None:
        """Open the database, and close it when cancelled."""
        try:
            async with aiosqlite.connect(file) as self.database:
                await self.list_tables(is_new=file == ":memory:")
                await asyncio.Event().wait()
        except sqlite3.Error as error:
            self.report(error)

    async def list_tables(self, *, is_new: bool) -> None:
        """Show the tables of the database."""
        if is_new:
            await self.database.executescript(TO_PLAY_WITH)
        await self.database.execute("PRAGMA query_only = on")
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        self.tables.addItems([name for (name,) in await self.database.execute_fetchall(query)])
        self.tables.setCurrentRow(0)

    def choose(self, table: str) -> None:
        """Show a table."""
        quoted = table.replace('"', '""')
        self.query.setText(f'SELECT * FROM "{quoted}"')
        self.query.returnPressed.emit()

    async def run(self) -> None:
        """Run the query; a second one takes the place of the first."""
        self.running = asyncio.current_task()
        self.cancel.setEnabled(True)
        self.status.setText("Running …")
        start = time.monotonic()
        cancelled = threading.Event()
        try:
            # The thread of aiosqlite knows nothing of tasks; SQLite asks there whether to go on.
            await self.database.set_progress_handler(cancelled.is_set, 10_000)
            await self.rows.show(await self.database.execute(self.query.text()))
            self.status.setText(f"First rows after {(time.monotonic() - start) * 1000:.0f} ms")
        except sqlite3.Error as error:
            self.report(error)
        except asyncio.CancelledError:
            cancelled.set()
            self.status.setText("Cancelled")
            raise
        finally:
            self.cancel.setEnabled(False)

    def report(self, error: Exception) -> None:
        """Say what is wrong with a query."""
        self.status.setText(str(error))


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    browser = Browser()
    browser.show()
    file = sys.argv[1] if len(sys.argv) == 2 and "--smoke" not in sys.argv else ":memory:"
    with qtinter.using_asyncio_from_qt():
        browsing = asyncio.create_task(browser.browse(file))
        if "--smoke" in sys.argv:
            from _smoke import play

            play(browse(browser, browsing))
        app.exec_()


async def browse(browser: Browser, browsing: asyncio.Task) -> None:
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    def run(query):
        browser.query.setText(query)
        browser.query.returnPressed.emit()

    await until(lambda: browser.rows.rowCount() == 4)
    assert browser.rows.horizontalHeaderItem(1).text() == "moons"
    run("SELECT count(*) FROM weather a, weather b WHERE a.time < b.celsius")  # Takes a minute.
    await until(browser.cancel.isEnabled)
    assert browser.status.text() == "Running …"
    browser.cancel.click()
    await until(lambda: browser.status.text() == "Cancelled")
    run("SELECT nonsense FROM planets")
    await until(lambda: "no such column" in browser.status.text())
    browser.tables.setCurrentRow(1)
    await until(lambda: browser.rows.rowCount() >= Rows.AT_ONCE)
    take_screenshot(browser)
    browser.view.scrollToBottom()
    await until(lambda: browser.rows.rowCount() >= 2 * Rows.AT_ONCE)
    assert not browsing.done()
    browser.close()


if __name__ == "__main__":
    main()
