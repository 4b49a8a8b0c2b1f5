"""Tables in the documentation are what the tests have tried."""

from __future__ import annotations

from pathlib import Path

from test_slots import CALLABLES, FORMS

DOCS = Path(__file__).parent.parent / "docs"


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
