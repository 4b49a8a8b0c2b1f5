"""The documentation: its programs and pages run, its tables are what the tests have tried."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, TypeVar

import pytest
import qtpy
from test_slots import CALLABLES, FORMS

import qtinter

# The first Qt program under Wine starts Wine's desktop, which keeps the pipes open that it inherits.
# So let it be this process.
pytestmark = pytest.mark.usefixtures("qapp")

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TOOLS = DOCS / "_tools"
FOLDERS = ["tutorial", "howto", "explanation", "migration"]

PROGRAMS = sorted(path for folder in FOLDERS for path in (DOCS / folder).glob("*.py"))
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
CODE = re.compile(r"^```python$", re.MULTILINE)

# These are run by tests of their own.
CONSOLES = ["console", "kernel"]

# What programs and pages import, besides a binding of Qt.
NEEDS = {
    "with_qasync": ["qasync"],
    "with_trio": ["trio"],
    "http": ["aiohttp", "httpx"],
    "websocket": ["websockets"],
    "serial": ["serial_asyncio_fast"],
    "ble": ["bleak"],
    "zmq": ["zmq"],
    "databases": ["aiosqlite", "asyncpg"],
}
NEEDS_PROGRAMS = {"databases": ["initdb", "postgres", "pg_isready"]}
# Debian and Ubuntu do not have those of a PostgreSQL server on PATH.
PATH = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
NEEDS_PYTHON = {"loop_factory": (3, 12)}
NEEDS_LINUX = ["serial", "databases"]
SHOWS_MESSAGE_BOX = ["closing", "dialogs", "step6"]

# What may be written to standard error: remarks of Qt, as that offscreen windows have no size hints.
COMPLAINTS = re.compile("Traceback|Warning|Exception|Error|never awaited|destroyed|pending")


@pytest.fixture(autouse=True)
def _no_hang() -> None:
    """Processes have a limit of their own, which is longer than that of other tests."""


def skip_without_needs(name: str) -> None:
    """Skip the test if something is not here that a program or page needs."""
    for module in NEEDS.get(name, []):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}, as in the tox environment docs")
    for program in NEEDS_PROGRAMS.get(name, []):
        if shutil.which(program, path=PATH) is None:
            pytest.skip(f"needs the program {program}")
    if sys.version_info < NEEDS_PYTHON.get(name, (3,)):
        pytest.skip("needs a newer Python")
    if name in NEEDS_LINUX and sys.platform != "linux":
        pytest.skip("needs pseudo-terminals or Unix users")
    if (
        name in SHOWS_MESSAGE_BOX
        and sys.platform == "win32"
        and qtpy.QT5
        and os.environ.get("QT_QPA_PLATFORM")
    ):
        pytest.skip(
            "QMessageBox.open() of Qt 5 crashes on Windows without the windows platform plugin"
        )


def play(path: Path) -> subprocess.CompletedProcess[str]:
    """Run a program or a page with its user."""
    skip_without_needs(path.stem)
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(TOOLS / "play.py"), str(path)],
        env={**os.environ, "PATH": PATH, "QT_QUICK_BACKEND": "software"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=25,
    )
    assert ended.returncode == 0, ended.stderr
    assert not COMPLAINTS.search(ended.stderr), ended.stderr
    return ended


def short(path: Path) -> str:
    """A name for a test."""
    return f"{path.parent.name}/{path.name}"


# Code.


@pytest.mark.parametrize(
    "path", [path for path in PROGRAMS if path.stem not in CONSOLES], ids=short
)
def test_program(path: Path) -> None:
    """A program of the documentation does what its page says, and ends."""
    play(path)


@pytest.mark.parametrize(
    "path", [path for path in PAGES if CODE.search(path.read_text("utf-8"))], ids=short
)
def test_page(path: Path) -> None:
    """The blocks of code on a page run as they stand there, one after the other."""
    play(path)


def test_one_changed_import(tmp_path: Path) -> None:
    """A program of qasync runs on qtinter when its import is changed, and nothing else."""
    program = (DOCS / "migration" / "with_qasync.py").read_text("utf-8")
    moved = program.replace("from qasync import", "from qtinter.compat.qasync import")
    assert moved != program
    path = tmp_path / "with_qtinter.py"  # Its user is the same.
    path.write_text(moved, "utf-8")
    play(path)


def test_consoles_are_tested() -> None:
    """Every program has a user, except those that are run by tests of their own."""
    text = (TOOLS / "users.py").read_text("utf-8")
    users = set(re.findall(r"^(?:def )?(\w+)(?:\(\):| = \w+)$", text, re.MULTILINE))
    assert {path.stem for path in PROGRAMS} - users == set(CONSOLES)


def test_programs_are_shown() -> None:
    """Every program is shown by a page next to it."""
    for path in PROGRAMS:
        pages = [page.read_text("utf-8") for page in path.parent.glob("*.md")]
        assert any(f"{{literalinclude}} {path.name}\n" in page for page in pages), path


def test_no_code_is_left_out() -> None:
    """Every block on a page is of a kind that is run, included from a file, or no code of Python."""
    for page in PAGES:
        kinds = re.findall(r"^ *(?:```|:::)(\S+)", page.read_text("utf-8"), re.MULTILINE)
        others = set(kinds) - {
            *("python", "{testsetup}", "{literalinclude}"),
            *("console", "text", "{eval-rst}", "{toctree}", "{include}", "{support-matrix}"),
            *("{warning}", "{note}"),
        }
        assert not others, f"{short(page)}: {others}"


def run_pytest(*arguments: str) -> str:
    """Run pytest on tests of the how-to guide, return what it prints."""
    ended = subprocess.run(
        # The plugin by name: pytest finds it by itself only where qtinter is installed.
        [sys.executable, "-m", "pytest", "-q", "-p", "qtinter.pytest_plugin", *arguments],
        cwd=DOCS / "howto" / "testing",
        env={**os.environ, "PYTEST_QT_API": qtpy.API, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("file", "needs"),
    [
        ("test_with_asyncio.py", "pytest_asyncio"),
        ("test_with_anyio.py", "anyio"),
        ("test_with_qtbot.py", "pytestqt"),
    ],
)
def test_testing(file: str, needs: str) -> None:
    """The tests in the guide to testing pass."""
    pytest.importorskip(needs)
    assert "1 passed" in run_pytest(file)


@pytest.mark.linux_only
def test_console() -> None:
    """In IPython, a task and a timer go on while the prompt waits for input."""
    pytest.importorskip("IPython")
    pexpect: Any = pytest.importorskip("pexpect")
    console = pexpect.spawn(
        sys.executable,
        [str(DOCS / "howto" / "console.py"), "--no-banner", "--colors=NoColor"],
        encoding="utf-8",
        timeout=20,
        env={**os.environ, "TERM": "dumb"},
    )
    try:
        for line in (
            "import asyncio; from qtpy import QtCore",
            "timer = QtCore.QTimer(); timer.start(10)",
            "import qtinter",
            "async def tick(): await qtinter.asyncsignal(timer.timeout); print('tick' * 2)",
            "",
            "task = asyncio.create_task(tick()); await asyncio.sleep(0)",
        ):
            console.expect(r"In \[\d+\]: |   \.\.\.: ")
            console.send(line + "\r")
        console.expect("ticktick")
    finally:
        console.close(force=True)


def test_kernel(tmp_path: Path) -> None:
    """In Jupyter, tasks and slots go on between two cells."""
    client = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    spec = json.loads((DOCS / "howto" / "kernel.json").read_text("utf-8"))
    spec["argv"][:2] = [sys.executable, str(DOCS / "howto" / "kernel.py")]
    folder = tmp_path / "kernels" / "qt"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec), "utf-8")
    environment = {**os.environ, "JUPYTER_PATH": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", KERNEL_USER, client.__name__],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "clicked between two cells" in ended.stdout, ended.stdout + ended.stderr


KERNEL_USER = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="qt")
try:
    for cell in (
        '''
import asyncio, qtinter
from qtpy import QtCore, QtWidgets
button = QtWidgets.QPushButton("not clicked")
@qtinter.asyncslot
async def click():
    await asyncio.sleep(0.05)
    button.setText("clicked between two cells")
    done.set()
done = asyncio.Event()
button.clicked.connect(click)
QtCore.QTimer.singleShot(50, button.click)
        ''',
        "import time",
        "await asyncio.wait_for(done.wait(), 10); print(button.text())",
    ):
        reply = client.execute_interactive(cell, timeout=20)
        assert reply["content"]["status"] == "ok", reply["content"]
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""


# Tables.


def table_of_callables() -> str:
    """The table that `test_everything_callable_in_every_form` stands behind, cell by cell."""
    lines = [
        "| | " + " | ".join(f"`{form}`" for form in FORMS) + " |",
        "|---|" + "---|" * len(FORMS),
    ]
    for kind in CALLABLES:
        cells = [
            "PyQt6, PyQt5; PySide: called directly only" if "name=" in form else "all four"
            for form in FORMS
        ]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_callables() -> None:
    """The documentation shows the callables and forms that are tested, on the bindings they are tested on."""
    assert table_of_callables() in (DOCS / "callables.md").read_text(encoding="utf-8")


def test_support_matrix() -> None:
    """The table of what every change is tested on has each environment of CI in its cell."""
    spec: Any = importlib.util.spec_from_file_location("support", TOOLS / "support.py")
    support: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(support)
    rows = {line.split(" | ")[0]: line for line in support.support_matrix().splitlines()}
    column = {name: number for number, name in enumerate(support.BINDINGS, 1)}
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    environments = re.findall(r"(?<![\w-])py3(\d+)-(py\w+)\b", script)
    assert len(environments) > 5
    for python, binding in environments:
        cells = rows[f"| Python 3.{python}"].split(" | ")
        assert "Linux" in cells[column[binding]], (python, binding)
    assert "Wine" in "".join(rows.values())


@pytest.mark.parametrize(
    "name", ["qtinter", "qtinter.trio", "qtinter.compat.qasync", "pytest_qtinter"]
)
def test_reference(name: str) -> None:
    """Everything that a module defines for its users is in the reference."""
    if name == "qtinter.trio":
        pytest.importorskip("trio")
    public = {
        public
        for public, value in vars(importlib.import_module(name)).items()
        if not public.startswith(("_", "pytest_"))  # pytest_...: for pytest
        and not isinstance(value, (types.ModuleType, TypeVar))
        and str(getattr(value, "__module__", None)).startswith(name)
    }
    assert len(public) > 1
    pages = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
    missing = public - set(re.findall(r"^\.\. (?:auto)?\w+:: (\w+)", pages, re.MULTILINE))
    assert not missing


def test_names() -> None:
    """Every name of the package on any page exists."""
    modules = {"compat", "trio", "pytest_plugin"}
    windows = {"QiProactorEventLoop", "QiProactorEventLoopPolicy"}
    for page in [*PAGES, *PROGRAMS]:
        names = set(re.findall(r"\bqtinter\.([A-Za-z]\w*)", page.read_text("utf-8")))
        unknown = {name for name in names - modules - windows if not hasattr(qtinter, name)}
        assert not unknown, f"{short(page)}: {unknown}"


# Other packages.

PEERS = {
    "qasync": ["qasync"],
    "qtasyncio": ["PySide6.QtAsyncio"],
    "qtinter011": ["qtinter"],
    "qtrio": ["qtrio", "qtrio.dialogs", "qtrio.qt"],
}

# Prints the public names of modules: what is in __all__, and what the package itself defines.
LIST_NAMES = """
import importlib, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    package = name.split(".")[0]
    for public in sorted(vars(module)):
        origin = str(getattr(getattr(module, public), "__module__", None))
        if not public.startswith("_") and (
            public in getattr(module, "__all__", []) or origin.split(".")[0] == package
        ):
            print(public)
"""


def rows_of(page: str) -> set[str]:
    """Names in the first column of the tables of a page: `this`, `and.these`, `those(...)`."""
    text = (DOCS / "migration" / f"{page}.md").read_text("utf-8")
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", text, re.MULTILINE)
    dotted = [name for cell in cells for name in re.findall(r"`([\w.]+)", cell)]
    return {part for name in dotted for part in name.split(".")}


@pytest.mark.parametrize("peer", PEERS)
def test_migration(peer: str, tmp_path: Path) -> None:
    """The page about another package has a row for every public name of that package."""
    folder = os.environ.get("QTINTER_PEERS")
    if folder is None:
        pytest.skip("QTINTER_PEERS names no folder with the other packages; see tox.ini, docs")
    if peer == "qtasyncio":
        pytest.importorskip("PySide6.QtAsyncio")
    ended = subprocess.run(
        [sys.executable, "-c", LIST_NAMES, *PEERS[peer]],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.path.join(folder, peer),
            "PYTHONWARNINGS": "default",
            "QTS_WRAPPER": "pyside6",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    names = set(ended.stdout.split())
    assert len(names) > 5, ended.stderr
    missing = names - rows_of(peer)
    assert not missing


# Links.


def anchor(heading: str) -> str:
    """The name that MyST and GitHub give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links(page: Path) -> None:
    """What a page points to is there: pages, files, headings, pictures, programs, other pages of a list."""
    text = page.read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)
    targets += re.findall(r"^```\{(?:literalinclude|include)\} (\S+)", text, re.MULTILINE)
    targets += re.findall(r"\{download\}`[^<]*<([^>]+)>`", text)
    for listing in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        entries = [line for line in listing.split() if not line.startswith(":")]
        targets += [f"{entry}.md" for entry in listing.split("\n\n", 1)[1].split() if entries]
    for target in targets:
        name, _, heading = target.partition("#")
        if name.startswith(("/_build/", "pictures/")):
            continue  # Pictures that the build takes.
        base = DOCS if name.startswith("/") else page.parent
        file = base / name.lstrip("/") if name else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), target
