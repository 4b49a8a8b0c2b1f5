"""Set up a fresh machine and run: the self-check, or the tests.

  python3 tools/dev.py demo              the self-check on PySide6
  python3 tools/dev.py test [ARGUMENT]   the tests: tox, with its arguments

Needs Python 3.9 or later. tox goes into a virtual environment of its own in tox's work folder.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import system_packages

ROOT = Path(__file__).resolve().parent.parent
WORK_DIR = ROOT / os.environ.get("TOX_WORK_DIR", ".tox")
ENVIRONMENT = WORK_DIR / "dev"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def main() -> int:
    """Run the command named on the command line, return its exit code."""
    if sys.argv[1:] == ["demo"]:
        set_up(system_packages.QT_CORE)
        return tox("run", "-e", "demo")
    if sys.argv[1:2] == ["test"]:
        set_up({**system_packages.QT_CORE, **system_packages.QT_GUI}, programs=["Xvfb"])
        return tox(*sys.argv[2:])
    print(__doc__, file=sys.stderr)
    return 2


def set_up(libraries: dict[str, str], programs: Iterable[str] = ()) -> None:
    """Get the system packages and tox that are not there yet."""
    packages = system_packages.missing(libraries, programs)
    if importlib.util.find_spec("ensurepip") is None:  # Debian keeps it apart
        packages.append("python{}.{}-venv".format(*sys.version_info))
    system_packages.install(packages)
    complete = ENVIRONMENT / "complete"  # written last
    if not (complete.exists() and PYTHON.exists()):
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "tox>=4.22"], check=True)
        complete.touch()


def tox(*arguments: str) -> int:
    """Run tox in the root of the project, with all interpreters of this machine on PATH."""
    path = os.pathsep.join([os.environ["PATH"], *pyenv_folders()])
    environment = {**os.environ, "PATH": path, "TOX_WORK_DIR": str(WORK_DIR)}
    command = [str(PYTHON), "-m", "tox", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def pyenv_folders() -> list[str]:
    """Where pyenv keeps its interpreters; its shims on PATH hide all but one of them."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted(str(folder) for folder in root.glob("versions/3.*/bin"))


if __name__ == "__main__":
    sys.exit(main())
