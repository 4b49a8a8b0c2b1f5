"""The event loop policies, on Pythons that have policies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings

import pytest
from harness import output_of

import qtinter

POLICIES = {
    "QiDefaultEventLoopPolicy": "QiDefaultEventLoop",
    "QiSelectorEventLoopPolicy": "QiSelectorEventLoop",
}
if sys.platform == "win32":
    POLICIES["QiProactorEventLoopPolicy"] = "QiProactorEventLoop"


@pytest.fixture
def policy(qapp, request):
    """A policy, which is in force."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        before = asyncio.get_event_loop_policy()
        asyncio.set_event_loop_policy(getattr(qtinter, request.param)())
        yield request.param
        asyncio.set_event_loop_policy(before)


@pytest.mark.skipif(sys.version_info >= (3, 16), reason="asyncio has no policies any more")
@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_policies(policy):
    """With a policy of ours in force asyncio.run() makes a loop of its kind."""

    async def main():
        await asyncio.sleep(0.001)
        return type(asyncio.get_running_loop())

    assert asyncio.run(main()) is getattr(qtinter, POLICIES[policy])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no child watchers")
@pytest.mark.parametrize("policy", ["QiDefaultEventLoopPolicy"], indirect=True)
def test_policies_know_subprocesses(policy):
    """With a policy of ours in force subprocesses work."""

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('hello')", stdout=subprocess.PIPE
        )
        return (await process.communicate())[0]

    assert asyncio.run(main()).strip() == b"hello"


def test_importing_leaves_policies_alone():
    """Importing qtinter neither makes nor sets a policy."""
    lines = output_of(
        "import asyncio, qtinter; print(getattr(asyncio.events, '_event_loop_policy', None))",
        prelude="",
    )
    assert lines == ["None"]
