"""Makes the gallery from the examples.

`python gallery.py` writes index.md, from their docstrings. `python gallery.py pictures [NAME...]`
takes pictures of the running programs, as building the documentation does; all of their packages
must be installed. `python gallery.py commands` says how to start them with this Python.
"""

import ast
import fnmatch
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
PICTURES = HERE / "pictures"

# Every example has its place here. Patterns stand for programs that differ in one thing only.
GROUPS = {
    "First steps": ["sleep_button", "choose_color", "signal_stream", "search_form", "tea_timer"],
    "Network, instruments, databases": [
        "download",
        "chat",
        "web_server",
        "instrument",
        "sqlite_browser",
    ],
    "Heavy work": ["threads", "mandelbrot", "dask_cluster"],
    "Part of something larger": ["plugins"],
    "One program, with asyncio and with trio": ["minimal_*", "eratosthenes_*"],
}

# What has to be installed for a module that an example imports.
PACKAGES = {
    "aiohttp": "aiohttp",
    "aiosqlite": "aiosqlite",
    "dask": "dask[distributed]",
    "fastapi": "fastapi",
    "httpx": "httpx",
    "trio": "trio",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
}

HEAD = """\
# Gallery

Complete programs, each with what a program of its kind needs: progress, Cancel, errors that are
shown, and an end in good order. From a checkout with a binding of Qt installed, start one with
`python examples/chat.py`, say. With `--smoke` a program clicks and closes by itself; so it is
tested on every binding, and if it needs packages of others, on PySide6 and PyQt6.
"""


def names():
    """Return the names of the examples, in the order of the gallery, without groups."""
    return [name for group in GROUPS.values() for name in members(group)]


def members(group):
    """Return the names of the examples in a group."""
    there = sorted(path.stem for path in EXAMPLES.glob("[!_]*.py"))
    return [name for pattern in group for name in fnmatch.filter(there, pattern)]


def modules(name):
    """Return the modules that an example imports at its beginning, in alphabetical order."""
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text("utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return sorted(found)


def packages(name):
    """Return what has to be installed for an example, besides a binding."""
    return [PACKAGES[module] for module in modules(name) if module in PACKAGES]


def entry(name):
    """Return what the gallery says about an example."""
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text("utf-8")))
    source = f"[examples/{name}.py](../../examples/{name}.py)"
    if packages(name):
        source += ", needs " + ", ".join(f"`{package}`" for package in packages(name))
    lines = [f"### {name}.py", "", text, "", f"![{name}.py](pictures/{name}.png)", ""]
    return "\n".join([*lines, source, ""])


def index():
    """Return the text of index.md."""
    parts = [HEAD]
    for title, group in GROUPS.items():
        if members(group):
            parts += [f"## {title}\n", *map(entry, members(group))]
    return "\n".join(parts)


def take_picture(name):
    """Run an example and save what it looks like; remarks of Qt are shown only if that fails."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_QUICK_BACKEND": "software"}
    command = [sys.executable, EXAMPLES / f"{name}.py", "--smoke", "--screenshot"]
    ended = subprocess.run(
        [*command, PICTURES / f"{name}.png"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
    )
    if ended.returncode:
        sys.exit(f"{name}.py has failed:\n{ended.stderr}")


def show_commands():
    """Say how to start the examples, those first that need nothing that is not installed."""
    complete = [name for name in names() if not missing(name)]
    print("The examples open windows:")
    print_commands(complete)
    others = [name for name in names() if name not in complete]
    if others:
        lacking = sorted({package for name in others for package in missing(name)})
        print("\nThese need more packages:")
        print(f"  {sys.executable} -m pip install", *(f'"{package}"' for package in lacking))
        print_commands(others)


def print_commands(examples):
    """Print a line for each."""
    for name in examples:
        print(f"  {sys.executable} {EXAMPLES / name}.py")


def missing(name):
    """Return what has to be installed for an example, and is not."""
    return [
        PACKAGES[module]
        for module in modules(name)
        if module in PACKAGES and importlib.util.find_spec(module) is None
    ]


def main():
    """Do what the command line says."""
    if sys.argv[1:2] == ["pictures"]:
        PICTURES.mkdir(exist_ok=True)
        for name in sys.argv[2:] or names():
            take_picture(name)
    elif sys.argv[1:] == ["commands"]:
        show_commands()
    else:
        (HERE / "index.md").write_text(index(), "utf-8")


if __name__ == "__main__":
    main()
