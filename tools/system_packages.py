"""System packages that pip cannot bring: which are missing, and how to get them.

`python3 tools/system_packages.py` looks for everything that Qt needs to open windows. Packages
have their names on Debian and Ubuntu; on other systems nothing is installed, only named.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

QT_CORE = {"libglib-2.0.so.0": "libglib2.0-0"}

QT_GUI = {
    # Without a screen: QT_QPA_PLATFORM=offscreen.
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",  # QtNetwork, hence QtQml
    "libxkbcommon.so.0": "libxkbcommon0",
    # In an X window.
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}


def missing(libraries: dict[str, str], programs: Iterable[str] = ()) -> list[str]:
    """Packages of the libraries that cannot be loaded and of the programs not on PATH."""
    if sys.platform != "linux":
        return []  # Qt's wheels are complete there
    packages = [package for library, package in libraries.items() if not loads(library)]
    return packages + [program.lower() for program in programs if not shutil.which(program)]


def loads(library: str) -> bool:
    """Whether the dynamic linker finds this library and all that it needs."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install(packages: list[str]) -> None:
    """Install packages as root; otherwise say how, and end the program with exit code 2."""
    if not packages:
        return
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        print("Missing, by their names on Debian:", names, file=sys.stderr)
        return
    if os.geteuid() != 0:
        print("System packages are missing. Please run:", file=sys.stderr)
        print(f"  sudo apt-get update && sudo apt-get install {names}", file=sys.stderr)
        sys.exit(2)
    apt = ["apt-get", "--quiet", "--option", "DPkg::Lock::Timeout=600"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # May fail in part (another apt-get at work, a dead third-party source) and still be enough.
    subprocess.run([*apt, "update"], env=environment, check=False)
    subprocess.run(
        [*apt, "install", "--yes", "--no-install-recommends", *packages],
        env=environment,
        check=True,
    )


if __name__ == "__main__":
    install(missing({**QT_CORE, **QT_GUI}, programs=["Xvfb"]))
