"""Tests with anyio."""

import pytest
from greeting import Greeting

import qtinter


@pytest.fixture(scope="session")
def anyio_backend(qtinter_app):
    """Run them on Qt-backed loops; `qtinter_app` is the application object."""
    return "asyncio", {"loop_factory": qtinter.new_event_loop}


@pytest.mark.anyio
async def test_greeting():
    """A click makes it greet."""
    button = Greeting()
    greeted = qtinter.asyncsignal(button.greeted)
    button.click()
    assert await greeted == "Hello!"
