"""The pytest plugin, for runs without entry points: `pytest -p qtinter.pytest_plugin`.

It is in pytest_qtinter.py, which says what it offers and why it is not here.
"""

pytest_plugins: list[str] = ["pytest_qtinter"]
