"""The page about trio: the tests that it names as proofs are there."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_proofs() -> None:
    """Each row of the comparison has a link to a test that exists."""
    text = (DOCS / "trio.md").read_text("utf-8")
    table = text.partition("## Compared")[2].partition("was not tried")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        proofs = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", row)
        assert proofs, row
        for name, file in proofs:
            assert f"def {name}(" in (DOCS / file).read_text("utf-8"), name
