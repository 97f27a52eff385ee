"""The garbage collector passes over what is loaded, and what a test leaves open is reported by that test."""

import re

import pytest

from tests.harness.sample import Sample

LOADED = """
import gc

def test_what_is_loaded() -> None:
    assert gc.get_freeze_count() > 50_000
"""

# Whatever is left by then, the test of this name is the one that would be blamed.
NEXT = """
import gc
import logging
import socket
from collections.abc import Iterator

import pytest

class Cycle:
    def __init__(self, what: object) -> None:
        self.itself, self.what = self, what

async def send_mail() -> None: ...

{leak}

def test_next() -> None:
    gc.collect()
"""

LEAKS = {
    "a file": ("def test_leak() -> None: Cycle(open(__file__))", "unclosed file"),
    "a socket": ("def test_leak() -> None: Cycle(socket.socket())", "unclosed <socket"),
    "a coroutine": ("async def test_leak() -> None: Cycle(send_mail())", "coroutine 'send_mail' was never awaited"),
    "by an error that is logged": (
        "def leak() -> None:\n    file = open(__file__)\n    raise LookupError\n\n"
        "def test_leak() -> None:\n    try:\n        leak()\n    except LookupError:\n        logging.exception('')",
        "unclosed file",
    ),
    "by a fixture": (
        "@pytest.fixture\ndef leaking() -> Iterator[None]:\n    yield\n    Cycle(open(__file__))\n\n"
        "def test_leak(leaking: None) -> None: ...",
        "unclosed file",
    ),
}


def test_what_is_loaded_is_passed_over(sample: Sample) -> None:
    sample.write("tests/test_a.py", LOADED)

    outcome = sample.pytest()

    assert "1 passed" in outcome.output, outcome.output


@pytest.mark.parametrize("what", LEAKS)
def test_a_leak_is_its_own_tests(sample: Sample, what: str) -> None:
    leak, words = LEAKS[what]
    sample.write("tests/test_a.py", NEXT.format(leak=leak))

    outcome = sample.pytest("-p", "no:randomly")

    assert words in outcome.output, outcome.output
    assert set(re.findall(r"^(?:FAILED|ERROR) (\S+)", outcome.output, re.M)) == {"tests/test_a.py::test_leak"}


# The collector may run at any time: in the test, before it is known that it does not pass.
ENDS_OTHERWISE = {
    "1 failed, 1 passed": "async def test_leak() -> None:\n    mail = send_mail()\n    raise LookupError",
    "1 passed, 1 skipped": "async def test_leak() -> None:\n    Cycle(send_mail())\n    pytest.skip()",
    "2 passed, 1 error": (
        "@pytest.fixture\ndef leaking() -> Iterator[None]:\n    yield\n    file = open(__file__)\n"
        "    raise LookupError\n\ndef test_leak(leaking: None) -> None: ..."
    ),
}


@pytest.mark.parametrize("is_collected", [False, True])
@pytest.mark.parametrize("counts", ENDS_OTHERWISE)
def test_what_a_test_has_left_that_did_not_pass_is_nobody_elses(
    sample: Sample, counts: str, is_collected: bool
) -> None:
    leak = ENDS_OTHERWISE[counts]
    if is_collected:
        leak = leak.replace("pytest.skip()", "gc.collect()\n    pytest.skip()").replace(
            "    raise", "    gc.collect()\n    raise"
        )
    sample.write("tests/test_a.py", NEXT.format(leak=leak))

    outcome = sample.pytest("-p", "no:randomly")

    assert f"== {counts} in " in outcome.output, outcome.output


def test_failed_tests_are_not_kept(sample: Sample) -> None:
    sample.write(
        "tests/test_a.py",
        """
import gc

import pytest
from httpx import AsyncClient

class Held: ...

@pytest.mark.parametrize("number", range(20))
async def test_that_fails(client: AsyncClient, number: int) -> None:
    held = Held()
    assert held is None

def test_what_is_left() -> None:
    gc.unfreeze()
    assert not [held for held in gc.get_objects() if type(held) is Held]
""",
    )

    outcome = sample.pytest("-p", "no:randomly")

    assert "20 failed, 1 passed" in outcome.output, outcome.output


IN_A_FIXTURE = """
import weakref
import pytest

class Node: ...

KEPT = []

@pytest.fixture
def node():
    node = Node()
    node.itself = node
    KEPT.append(weakref.ref(node))
    return node

@pytest.mark.parametrize("number", range(3))
def test_a(node, number):
    assert [kept for kept in KEPT[:-1] if kept() is not None] == []
"""


def test_the_value_of_a_fixture_is_gone_when_the_next_test_begins(sample: Sample) -> None:
    """pytest keeps it until the last report of its test."""
    sample.write("tests/test_a.py", IN_A_FIXTURE)

    outcome = sample.pytest()

    assert "3 passed" in outcome.output, outcome.output


IN_A_REQUEST = """
import gc
import pytest
from httpx import AsyncClient
from tests.harness.core.requests import Request

@pytest.mark.parametrize("number", range(9))
async def test_a(client: AsyncClient, number: int) -> None:
    await client.get("/users/1")
    gc.unfreeze()
    # Its own and the one before, which the context of the loop's last task may still hold.
    assert len([found for found in gc.get_objects() if type(found) is Request]) <= 2
"""


def test_requests_of_earlier_tests_are_gone(sample: Sample) -> None:
    sample.write("tests/test_a.py", IN_A_REQUEST)

    outcome = sample.pytest()

    assert "9 passed" in outcome.output, outcome.output
