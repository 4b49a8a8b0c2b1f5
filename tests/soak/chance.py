"""What a random program draws from its seed, and says when it has done so."""

from __future__ import annotations

import gc
import random
import sys
from typing import Any

dice = random.Random(int(sys.argv[1]))


def say(*words: object) -> None:
    print(*words, flush=True)


def choose(what: str, options: Any) -> Any:
    """Draw one of the options, by name if they have names."""
    name = dice.choice(list(options))
    say(f"{what}: {getattr(name, '__name__', name)}")
    return options[name] if isinstance(options, dict) else name


def moment() -> float:
    """Some milliseconds."""
    return dice.choice((0, 0, 0.001, 0.002, 0.005))


def maybe_collect() -> None:
    if dice.random() < 0.1:
        gc.collect()
