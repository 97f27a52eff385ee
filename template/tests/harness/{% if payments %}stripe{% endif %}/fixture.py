"""Fixture `mock_stripe`, and the guards of the tests that have it."""

import inspect
from collections.abc import Iterator
from itertools import count

import pytest
import respx

from ..guards import network
from ..guards.base import OUTCOME, Guard
from .mock import GENERATED, MockStripe

HOST = "api.stripe.com"
network.ANSWERED_BY[HOST] = "mock_stripe"

UNUSED = Guard(
    "unused_stripe_mock",
    why="the test says something of Stripe, and passes whatever the application does, since it never got there.",
    instead="see why Stripe was not asked. If that is the point: `assert mock_stripe.calls == []`.",
    formerly="unused_mock",
)
UNMOCKED = Guard(
    "unhandled_stripe_request",
    why="the application was answered with a 404 that Stripe would not send, and the test may have passed by that.",
    instead='stub the answer: mock_stripe.stub("POST", "/v1/customers", {"id": "cus_1", "object": "customer"}).',
    formerly="unmocked_stripe",
)
KEYLESS = Guard(
    "missing_idempotency_key",
    why="when its answer is lost, whoever waits for it tries again, and the card is charged twice.",
    instead='pass a key that the next attempt has too, after the parameters: {"idempotency_key": f"order-{order.id}"}.',
    formerly="keyless_charge",
)


@pytest.fixture
def mock_stripe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MockStripe]:
    """Stripe's API, mocked: `mock_stripe.declines()`, `mock_stripe.charges`, `mock_stripe.calls`."""
    stripe = MockStripe()
    keys = (f"{GENERATED}{number}" for number in count(1))
    # Of the SDK's inside: nothing else tells whether a key is the application's or a new one for each request.
    monkeypatch.setattr("stripe._api_requestor._generate_idempotency_key", lambda: next(keys), raising=False)
    with respx.mock(assert_all_called=False) as router:
        router.route(host=HOST).mock(side_effect=stripe.answer)
        stripe.is_used = False
        yield stripe
    for guard, what in _complaints(stripe, request):
        if guard.watches(request.node):
            guard.fires(request.node, what)


def _complaints(stripe: MockStripe, request: pytest.FixtureRequest) -> Iterator[tuple[Guard, str]]:
    if stripe.unmocked:
        asked = ", ".join(dict.fromkeys(stripe.unmocked))
        yield UNMOCKED, f"Stripe was asked for what mock_stripe does not know: {asked}."
    if stripe.keyless:
        yield KEYLESS, "a charge was sent to Stripe without an idempotency key of the application's own."
    # A fixture that only keeps others from calling out is used by being there. A test that has failed may not have come
    # as far as Stripe.
    asked_for = "mock_stripe" in inspect.signature(request.function).parameters
    if asked_for and not stripe.is_used and request.node.stash.get(OUTCOME, None) == "passed":
        yield UNUSED, "the test asked for mock_stripe, and Stripe was neither asked nor looked at."
