"""Tests with pytest-qt."""

from greeting import Greeting


def test_greeting(qtinter_runner, qtbot):
    """A click makes it greet."""
    button = Greeting()
    qtbot.addWidget(button)
    with qtbot.waitSignal(button.greeted):
        button.click()
    assert button.text() == "Hello!"
