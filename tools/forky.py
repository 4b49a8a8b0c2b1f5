"""Run tools/dev.py on Debian forky, which has Python 3.14 and 3.15.

  python3 tools/forky.py test -e py314-pyside6,py315-pyside6

The chroot is made once, with no more than the interpreters: tools/dev.py adds the rest, as on any
fresh machine. It is kept in $QTINTER_CACHE, else $XDG_CACHE_HOME/qtinter, else ~/.cache/qtinter;
delete it to get newer packages. Needs root and a Debian machine, whose mirror it uses.
"""

import ast
import os
import shlex
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import system_packages

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ["ca-certificates"] + [
    package
    for python in ("python3.14", "python3.15")
    for package in (python, f"{python}-venv", f"lib{python}-testsuite")  # with its own tests
]


def main() -> int:
    """Run tools/dev.py with the arguments of the command line, return its exit code."""
    if os.geteuid() != 0:
        print("chroot needs root.", file=sys.stderr)
        return 2
    chroot = cache_folder() / f"forky-{zlib.crc32(' '.join(PACKAGES).encode()):08x}"
    if not chroot.exists():
        make(chroot)
    return run(chroot, "python3.14", "tools/dev.py", *sys.argv[1:])


def cache_folder() -> Path:
    """Where things that are slow to make are kept between runs."""
    if "QTINTER_CACHE" in os.environ:
        return Path(os.environ["QTINTER_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "qtinter"


def make(chroot: Path) -> None:
    """Install a minimal forky; it gets its name when it is complete."""
    if not shutil.which("debootstrap"):
        system_packages.install(["debootstrap"])
    partial = chroot.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
    # The script is that of sid: an older debootstrap has none called forky.
    command = [
        "unshare",
        "--mount",
        "debootstrap",
        *options,
        "forky",
        str(partial),
        mirror(),
        "sid",
    ]
    subprocess.run(command, check=True)  # what it mounts goes with it, however it ends
    partial.rename(chroot)


def mirror() -> str:
    """The Debian mirror in apt's sources, of whatever format."""
    subprocess.run(["apt-get", "--quiet", "update"], check=False)  # a fresh image has no lists
    fields = ["Label: Debian", "Component: main", "Created-By: Packages"]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *fields]
    targets = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if not targets:
        sys.exit("apt's sources name no mirror of Debian")
    return targets[0]


def run(chroot: Path, *command: str) -> int:
    """Run a command in the chroot, in the root of the project, return its exit code.

    The mounts are made in a mount namespace of their own, which ends with the command.
    """
    environment = {
        **pip_configuration(),
        **os.environ,
        "HOME": "/root",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TOX_WORK_DIR": ".tox/forky",
    }
    for name in ("hosts", "resolv.conf"):
        shutil.copyfile(Path("/etc", name), chroot / "etc" / name)
    mounts = [
        mount(ROOT, chroot, "/project", "--bind"),
        *(mount(Path(path), chroot, path, "--rbind") for path in ("/dev", "/proc")),
        *(mount(path, chroot, path, "--bind", "-o", "ro") for path in named_paths(environment)),
    ]
    enter = ["chroot", chroot, "sh", "-c", 'cd /project && exec "$@"', "sh", *command]
    script = "\n".join(["set -e", *mounts, shlex.join(map(str, enter))])
    unshare = ["unshare", "--mount", "sh", "-c", script]
    return subprocess.run(unshare, env=environment, check=False).returncode


def mount(source: Path, chroot: Path, target: object, *options: str) -> str:
    """The shell command that shows a file or folder of this machine in the chroot."""
    point = Path(f"{chroot}/{target}")
    if source.is_dir():
        point.mkdir(parents=True, exist_ok=True)
    else:
        point.parent.mkdir(parents=True, exist_ok=True)
        point.touch()
    return shlex.join(["mount", *options, str(source), str(point)])


def pip_configuration() -> dict[str, str]:
    """What pip's configuration files say here, as environment variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    settings = (line.split("=", 1) for line in lines)  # global.extra-index-url='...'
    return {
        "PIP_" + name.rpartition(".")[2].upper().replace("-", "_"): ast.literal_eval(value)
        for name, value in settings
    }


def named_paths(environment: dict[str, str]) -> set[Path]:
    """Files and folders that the settings of pip and of certificates name."""
    paths = set()
    for name, value in environment.items():
        if name.startswith("PIP_") or "CERT" in name or "CA_BUNDLE" in name:
            for word in value.split():
                if word.startswith("file://"):  # an index, which refers to files beside it
                    paths.add(Path(word[len("file://") :]).parent)
                elif word.startswith("/"):
                    paths.add(Path(word))
    return {path for path in paths if path.exists()}


if __name__ == "__main__":
    sys.exit(main())
