"""Compare what the tests did on our loops with what they did on plain asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from allowed import Entry, entries
from processes import FINE, Outcome, Results

NOT_RUN = Outcome("not run")


@dataclass
class Verdict:
    """Figures about one way of running, and what is wrong.

    Attributes:
        run: tests that pass with plain asyncio.
        passed: those of them that pass with ours.
        not_applicable: those that do not, and are in the list.
        fails_with_plain: tests that fail with plain asyncio, whatever they do with ours.
        skipped: tests that are skipped with plain asyncio.
        problems: sentences.
    """

    run: int = 0
    passed: int = 0
    not_applicable: int = 0
    fails_with_plain: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)


class Judge:
    """Makes a verdict on one way, from one module after the other."""

    def __init__(self, package: str, way: str) -> None:
        self._prefix = package + "."
        self._way = way
        self._entries = entries(way)
        self.verdict = Verdict()

    def hear(self, module: str, plain: Results, ours: Results) -> None:
        """Take a module into account."""
        verdict = self.verdict
        verdict.problems += _census_problems(self._way, module, plain, ours)
        for test in sorted(plain.outcomes.keys() | ours.outcomes.keys()):
            expected = plain.outcomes.get(test, NOT_RUN)
            outcome = ours.outcomes.get(test, NOT_RUN)
            entry = self._find(test)
            if expected.name == "skipped" and outcome.name == "skipped":
                verdict.skipped += 1
            elif expected.name == "passed":
                verdict.run += 1
                self._hear_one(test, outcome, entry)
            elif expected.name in ("skipped", "not run") and outcome.name != "passed":
                verdict.problems.append(_problem(test, expected, outcome))
            else:
                verdict.fails_with_plain += expected.name not in FINE

    def _hear_one(self, test: str, outcome: Outcome, entry: Entry | None) -> None:
        verdict = self.verdict
        if entry is not None:
            if outcome.name == "passed":
                verdict.problems.append(f"{test} passes; it must leave the list in allowed.py")
            verdict.not_applicable += 1
        elif outcome.name == "passed":
            verdict.passed += 1
        else:
            verdict.problems.append(_problem(test, Outcome("passed"), outcome))

    def expects_failure(self, test: str) -> bool:
        """Tell whether the test is in the list."""
        return self._find(test) is not None

    def _find(self, test: str) -> Entry | None:
        name = test[len(self._prefix) :] if test.startswith(self._prefix) else test
        return next((entry for entry in self._entries if entry.matches(name)), None)


def _problem(test: str, expected: Outcome, outcome: Outcome) -> str:
    return f"{test}: {outcome.name}, with plain asyncio: {expected.name}\n{outcome.detail}"


def _census_problems(way: str, module: str, plain: Results, ours: Results) -> Iterator[str]:
    """What shows that a module's tests were not run by our loops."""
    foreign = ours.census["built"] - ours.census["ours"]
    if not plain.census:
        details = (outcome.detail for outcome in plain.outcomes.values())
        yield "\n".join([f"{module} cannot be run to its end with plain asyncio", *details])
    if foreign:
        yield f"{module} built {foreign} loops that are not ours"
    elif plain.census["built"] and not ours.census["ours"]:
        yield f"{module} builds loops, but none of ours"
    if plain.census["iterations"] and not ours.census["our_iterations"]:
        yield f"{module} runs loops, but none of ours"
    if plain.census["iterations"] and bool(ours.census["attached"]) != (way == "attached"):
        yield f"{module} attached {ours.census['attached']} loops"
