"""Tests with pytest-asyncio."""

import pytest
from greeting import Greeting

import qtinter


@pytest.mark.asyncio(loop_factories=["qt"])
async def test_greeting():
    """A click makes it greet."""
    button = Greeting()
    greeted = qtinter.asyncsignal(button.greeted)
    button.click()
    assert await greeted == "Hello!"
