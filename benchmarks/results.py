"""What was measured: values by workload, contender and round; kept as JSON between run and report."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

BASELINE = "plain"


class Summary(NamedTuple):
    """A median, and the lowest and the highest of what it is the median of."""

    median: float
    low: float
    high: float


def summary(values: list[float]) -> Summary:
    """Of at least one value."""
    return Summary(statistics.median(values), min(values), max(values))


class Results:
    """Values in seconds, bytes or numbers; None where there is none.

    Attributes:
        about: the machine, the versions and the date, by what they are called.
        titles: of the contenders, by key, in the order of the tables.
    """

    def __init__(self, about: dict[str, str], titles: dict[str, str]) -> None:
        self.about = about
        self.titles = titles
        self._values: dict[str, dict[str, list[float | None]]] = {}
        self._reasons: dict[str, dict[str, str]] = {}
        self._pairs: dict[str, dict[str, list[float]]] = {}

    def add(self, workload: str, contender: str, value: float | None) -> None:
        """File the value of the next round."""
        self._values.setdefault(workload, {}).setdefault(contender, []).append(value)

    def add_none(self, workload: str, contender: str, reason: str) -> None:
        """Note why a contender cannot do a workload."""
        self._reasons.setdefault(workload, {})[contender] = reason
        self.add(workload, contender, None)

    def add_pairs(self, workload: str, contender: str, ratios: list[float]) -> None:
        """File what pairs.py has printed."""
        self._pairs.setdefault(workload, {}).setdefault(contender, []).extend(ratios)

    def pairs(self, workload: str, contender: str) -> list[float]:
        """Ratios to plain asyncio in the same process, one for each turn."""
        return self._pairs.get(workload, {}).get(contender, [])

    def reason(self, workload: str, contender: str) -> str | None:
        """Why a contender cannot do a workload; None if it can, or was not asked."""
        return self._reasons.get(workload, {}).get(contender)

    def has(self, workload: str) -> bool:
        """Whether anybody did a workload."""
        return any(self.values(workload, contender) for contender in self.titles)

    def values(self, workload: str, contender: str) -> list[float]:
        """One value for each round."""
        found = self._values.get(workload, {}).get(contender, [])
        return [value for value in found if value is not None]

    def ratios(self, workload: str, contender: str) -> list[float]:
        """To plain asyncio in the same round, one for each round."""
        by_contender = self._values.get(workload, {})
        pairs = zip(by_contender.get(contender, []), by_contender.get(BASELINE, []))
        return [value / base for value, base in pairs if value is not None and base]

    def save(self, path: Path) -> None:
        """Write it all to a file."""
        path.write_text(json.dumps(vars(self), indent=1), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
        results = cls(kept["about"], kept["titles"])
        vars(results).update(kept)
        return results
