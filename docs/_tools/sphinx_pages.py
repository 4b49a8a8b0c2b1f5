"""What Sphinx makes by itself: pictures of the programs, and the table of what CI tests."""

import os
import subprocess
import sys
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from support import support_matrix

TOOLS = Path(__file__).parent
DOCS = TOOLS.parent
PICTURES = DOCS / "_build" / "pictures"


def take_pictures(app):
    """Run the programs of the tutorial and the gallery, whose users take pictures."""
    for program in sorted((DOCS / "tutorial").glob("*.py")):
        run(TOOLS / "play.py", program, PICTURES)
    run(DOCS / "gallery" / "gallery.py", "pictures")


def run(program, *arguments):
    """Run a program without a display."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": "2"}
    command = [sys.executable, *map(str, [program, *arguments])]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if ended.returncode:
        raise ExtensionError(f"{command} has failed:\n{ended.stderr}")


class SupportMatrix(SphinxDirective):
    """`{support-matrix}`: what every change is tested on."""

    def run(self):
        """Make the table."""
        return self.parse_text_to_nodes(support_matrix())


def mark_code(app, what, name, obj, options, lines):
    """Make an indented paragraph after an ordinary one a block of code, as in Markdown."""
    for number in reversed(range(len(lines) - 2)):
        line, blank, following = lines[number : number + 3]
        if (
            line.strip()
            and not line.lstrip().startswith((":", ".. ", "* "))
            and not blank.strip()
            and indentation(following) >= indentation(line) + 4
        ):
            lines[number + 1 : number + 1] = ["", " " * indentation(line) + "::"]


def indentation(line):
    """The number of spaces at the beginning of a line."""
    return len(line) - len(line.lstrip())


def setup(app):
    """Called by Sphinx."""
    app.add_directive("support-matrix", SupportMatrix)
    app.connect("builder-inited", take_pictures)
    app.connect("autodoc-process-docstring", mark_code)
    return {"parallel_read_safe": True}
