"""An environment of its own for each contender: the earlier qtinter has our import name.

They are made when they are first needed and kept in the user's folder for such things.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from contenders import Entry

CHECKOUT = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Where the environments of this Python are."""
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA") or Path.home()
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    major, minor = sys.version_info[:2]
    return Path(cache, "qtinter-benchmarks", f"{sys.implementation.name}-{major}.{minor}")


def interpreter(entry: Entry) -> str:
    """The Python of the contender's environment, which is made if it is not there.

    Raises:
        subprocess.CalledProcessError: something cannot be installed.
    """
    place = folder() / entry.key.replace("/", "-")
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    complete = place / "complete"
    wanted = "\n".join(entry.requirements())
    if not complete.exists() or complete.read_text() != wanted:
        print(f"Making {place}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        if wanted:
            install = [python, "-m", "pip", "install", "--quiet", *entry.requirements()]
            subprocess.run(install, check=True)
        complete.write_text(wanted)
    return str(python)


def variables(entry: Entry) -> dict[str, str]:
    """The environment variables of its processes: only this package sees this checkout."""
    variables = {**os.environ, "QT_API": entry.binding or ""}
    variables.pop("PYTHONPATH", None)
    if entry.contender.is_this:
        # Compiled, as what pip has installed for the others is.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        variables["PYTHONPYCACHEPREFIX"] = str(folder() / "bytecode")
        variables["PYTHONPATH"] = str(CHECKOUT)
    return variables


def versions(python: str) -> dict[str, str]:
    """The packages in an environment."""
    program = (
        "from importlib.metadata import distributions\n"
        "for d in distributions(): print(d.metadata['Name'], d.version)"
    )
    output = subprocess.run([python, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    return dict(line.split() for line in output.stdout.splitlines())
