"""How Sphinx builds the documentation: `tox -e docs`."""

import sys
from pathlib import Path

import qtinter

sys.path.insert(0, str(Path(__file__).parent / "_tools"))

project = "qtinter"
author = "the qtinter developers"
copyright = author
version = release = qtinter.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",  # for {testsetup}, which is not shown
    "sphinx.ext.napoleon",
    "sphinx_pages",  # in _tools
]
exclude_patterns = ["_build", "_tools"]
html_theme = "furo"
html_title = "qtinter"
html_static_path = ["_static"]
html_css_files = ["pictures.css"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # docstrings write `names` as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # in the signature they are longer than the text
napoleon_use_rtype = False

# Names of asyncio, Qt and Python are not part of this documentation, and a build needs no network.
nitpick_ignore_regex = [(r"py:.*", r"(?!qtinter\b).*")]
