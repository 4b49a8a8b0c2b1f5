"""How the package is built: what imports what, where private names of asyncio are, and what importing it does."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

import pytest
from harness import output_of, run_program

import qtinter

PACKAGE = Path(qtinter.__file__).parent
SOURCES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path.read_text("utf-8")
    for path in PACKAGE.rglob("*.py")
}

# Each row may import what stands in the rows above it.
ROWS = [
    ["_qt/binding", "_compat", "_moulds"],
    ["_qt/application"],
    ["_qt/waking"],
    ["_qt/event_loops", "_qt/signals"],
    ["_qt/thread_loops"],
    ["_qt/__init__"],
    ["_engine/__init__"],
    ["_engine/pollers", "_engine/interrupts"],
    ["_engine/multiplexers"],
    ["_engine/nesting"],
    ["_engine/driver"],
    ["_engine/hosted"],
    ["_default_executor"],
    ["_cleanup"],
    ["_loops"],
    ["_policies", "_hosts", "_bridges"],
    ["_tasks", "_lines", "_signals"],
    ["_runners", "_streams", "_multisignals", "_slot_options", "_workers"],
    ["_run", "_slot_calls", "_executor"],
    ["_slots"],
    ["_dialogs"],
    ["_selfcheck"],
    ["__init__"],
    ["__main__", "pytest_plugin", "trio/_tasks", "compat/__init__"],
    ["trio/_guests", "compat/qasync"],
    ["trio/_signals"],
    ["trio/_runners"],
    ["trio/__init__"],
]
ROW = {name: number for number, row in enumerate(ROWS) for name in row}

# Names of asyncio that are private. `_thread_id` and the like are ours as well, so only what is unmistakable.
PRIVATE = re.compile(
    r"\b(_ready|_scheduled|_run_once|_stopping|_set_running_loop|_enter_task|_leave_task|_swap_current_task|_csock|_ssock"
    r"|_write_to_self|_selector|_context|_cancelled|_call_soon|_run_forever_setup|_run_forever_cleanup)\b"
)


def find(path):
    """The module or package of that path, None if it is neither."""
    return next(
        (name for name in ("/".join(path), "/".join([*path, "__init__"])) if name in SOURCES), None
    )


def imports(name):
    """The modules of the package that a module imports, those for type checkers included."""
    folder = name.split("/")[:-1]
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder[: len(folder) - node.level + 1] + (
                node.module.split(".") if node.module else []
            )
            for alias in node.names:
                yield find([*base, alias.name]) or find(base)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "qtinter":
            yield "__init__"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "qtinter":
                    yield "__init__"


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_imports_run_downwards(name):
    """A module imports only what stands below it."""
    assert name in ROW, "a new module: give it its place in ROWS"
    assert [target for target in imports(name) if ROW[target] >= ROW[name]] == []


def test_iteration_is_called_in_one_place():
    """`_run_once` of asyncio is named in one expression of the package."""
    calls = [
        (name, node.lineno)
        for name, source in SOURCES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr == "_run_once"
    ]
    assert len(calls) == 1
    assert calls[0][0] == "_loops"


def test_one_door_to_qt():
    """Only _qt/binding.py imports qtpy at run time; nobody imports a binding, QtWidgets or QtGui."""
    for name, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            )
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, (ast.Import, ast.ImportFrom))
                else []
            )
            for module in modules:
                assert not module.startswith(("PyQt", "PySide")), name
                if module.split(".")[0] == "qtpy":
                    assert name in (
                        "_qt/binding",
                        "__main__",
                        "_selfcheck",
                    ) or _is_for_type_checkers(source, node), name
                    assert not {"QtWidgets", "QtGui"} & set(names) or _is_for_type_checkers(
                        source, node
                    ), name


def _is_for_type_checkers(source, wanted):
    return any(
        isinstance(node, ast.If)
        and ast.unparse(node.test) == "TYPE_CHECKING"
        and wanted.lineno in _lines(node)
        for node in ast.walk(ast.parse(source))
    )


def _lines(node):
    return range(node.body[0].lineno, node.body[-1].end_lineno + 1)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_private_names_of_asyncio(name):
    """Private names of asyncio appear only in _compat, _engine and _loops."""
    if name in ("_compat", "_loops") or name.startswith("_engine/"):
        return
    found = {
        node.attr
        for node in ast.walk(ast.parse(SOURCES[name]))
        if isinstance(node, ast.Attribute)
        and PRIVATE.fullmatch(node.attr)
        and ast.unparse(node.value) != "self"
    }
    assert found == set()


def test_private_names_are_dated():
    """A module that uses private names of asyncio says on which Python versions they were checked."""
    for name in ("_compat", "_engine/driver", "_engine/nesting"):
        assert re.search(r"3\.9 to 3\.\d\d", ast.get_docstring(ast.parse(SOURCES[name]))), name


# What importing does.


def test_importing_imports_no_binding():
    """`import qtinter` imports neither a binding nor qtpy."""
    lines = output_of(
        "import sys, qtinter; print([name for name in sys.modules if name.startswith(('PyQt', 'PySide', 'shiboken', 'sip', 'qtpy'))])",
        prelude="",
    )
    assert lines == ["[]"]


def test_running_needs_qtcore_only():
    """A program that runs a loop in both modes has imported neither QtGui nor QtWidgets nor QtNetwork."""
    lines = output_of("""
        before = set(sys.modules)  # qtpy's QtCore imports QtGui for its own ends, if it can.
        app = QtCore.QCoreApplication([])
        with qtinter.using_qt_from_asyncio():
            asyncio.run(asyncio.sleep(0))
        with qtinter.using_asyncio_from_qt():
            QtCore.QTimer.singleShot(0, app.exit)
            app.exec_()
        say([name for name in set(sys.modules) - before if name.endswith(("QtGui", "QtWidgets", "QtNetwork"))])
    """)
    assert lines == ["[]"]


def test_it_runs_where_widgets_cannot_be_imported():
    """Nothing of ours needs QtGui or QtWidgets: with both blocked, loops run."""
    lines = output_of("""
        class Block:
            def find_spec(self, name, path=None, target=None):
                if name.endswith((".QtGui", ".QtWidgets")):
                    raise ImportError(name)
        sys.meta_path.insert(0, Block())
        app = QtCore.QCoreApplication([])
        with qtinter.using_qt_from_asyncio():
            asyncio.run(asyncio.sleep(0))
        say("ran")
    """)
    assert lines == ["ran"]


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PyQt5", "PyQt6", "PySide2", "PySide6"):
            raise ImportError(name)
sys.meta_path.insert(0, Block())
"""


def last_error_line(code, **environment):
    """Run a program that fails; return the last line of its traceback."""
    variables = {
        name: value for name, value in os.environ.items() if name not in ("QT_API", "FORCE_QT_API")
    }
    ended = run_program(code, prelude="", env={**variables, **environment})
    assert ended.code == 1, ended
    return ended.errors.strip().splitlines()[-1]


USES = [
    "import qtinter; qtinter.new_event_loop()",
    "import qtinter; qtinter.QiRunner().start()",
    "import qtinter; qtinter.using_qt_from_asyncio().__enter__()",
]


@pytest.mark.skipif(
    sys.platform == "win32", reason="under Wine QT_* variables come from its registry only"
)
@pytest.mark.parametrize("use", USES)
def test_unknown_binding(use):
    """An unknown QT_API gives qtpy's error unchanged, when Qt is first needed."""
    expected = last_error_line("import qtpy", QT_API="nonsense")
    assert "nonsense" in expected or "qt_api" in expected.lower()
    assert last_error_line(use, QT_API="nonsense") == expected


@pytest.mark.parametrize("use", USES)
def test_no_binding(use):
    """Without any binding qtpy's QtBindingsNotFoundError passes through unchanged."""
    expected = last_error_line(BLOCK + "import qtpy")
    assert "QtBindingsNotFoundError" in expected
    assert last_error_line(BLOCK + use) == expected


def test_missing_binding_leaves_the_import_alone():
    """`import qtinter` works without any binding."""
    assert output_of(BLOCK + "import qtinter; print('imported')", prelude="") == ["imported"]


# The public names.

PUBLIC = {
    "QiBaseEventLoop",
    "QiDefaultEventLoop",
    "QiDefaultEventLoopPolicy",
    "QiRunner",
    "QiSelectorEventLoop",
    "QiSelectorEventLoopPolicy",
    "modal",
    "new_event_loop",
    "run_task",
    "using_asyncio_from_qt",
    "using_qt_from_asyncio",
} | ({"QiProactorEventLoop", "QiProactorEventLoopPolicy"} if sys.platform == "win32" else set())
# Of the API (api.md), not there at first.
LATER = {
    "QThreadExecutor",
    "SenderDestroyedError",
    "Attachment",
    "asyncclose",
    "asyncdialog",
    "asyncsignal",
    "asyncsignalstream",
    "asyncslot",
    "attach",
    "multisignal",
    "run",
}


def test_public_names():
    """The package offers the names of the API, and no others."""
    names = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(SOURCES["__init__"]))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names | ({"QiProactorEventLoop"} if sys.platform != "win32" else set()) >= PUBLIC
    assert names - PUBLIC - LATER <= {"QiProactorEventLoop", "QiProactorEventLoopPolicy"}
    assert all(hasattr(qtinter, name) for name in PUBLIC)


def test_public_names_have_docstrings():
    """Every public name has a docstring."""
    assert [name for name in PUBLIC if not getattr(qtinter, name).__doc__] == []


def test_the_package_is_typed():
    """py.typed is there."""
    assert (PACKAGE / "py.typed").exists()
