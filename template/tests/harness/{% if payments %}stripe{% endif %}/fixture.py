"""The fixture `mock_stripe`, and the guards of tests that use it."""

import inspect
from collections.abc import Iterator
from itertools import count

import pytest
import respx

from ..guards import network
from ..guards.base import Guard
from ..guards.outcome import OUTCOME
from .mock import GENERATED, MockStripe

HOST = "api.stripe.com"
network.MOCKED_BY[HOST] = "mock_stripe"

UNUSED_MOCK = Guard(
    "unused_stripe_mock",
    why="The test passes whatever the application does with Stripe.",
    instead="Find out why Stripe was not called. If no call is expected: `assert mock_stripe.calls == []`.",
    formerly="unused_mock",
)
UNHANDLED_REQUEST = Guard(
    "unhandled_stripe_request",
    why="The application got a 404 that Stripe would not send, and the test may have passed because of it.",
    instead='Stub the response: mock_stripe.stub("POST", "/v1/customers", {"id": "cus_1", "object": "customer"}).',
    formerly="unmocked_stripe",
)
MISSING_KEY = Guard(
    "missing_idempotency_key",
    why="If the response is lost and the client retries, the card is charged twice.",
    instead='Pass a key that is the same in a retry, after the parameters: {"idempotency_key": f"order-{order.id}"}.',
    formerly="keyless_charge",
)


@pytest.fixture
def mock_stripe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MockStripe]:
    """Stripe's API, mocked: `mock_stripe.declines()`, `mock_stripe.charges`, `mock_stripe.calls`."""
    stripe = MockStripe()
    keys = (f"{GENERATED}{number}" for number in count(1))
    # A private function of the SDK: without it, its generated keys look like the application's keys.
    monkeypatch.setattr("stripe._api_requestor._generate_idempotency_key", lambda: next(keys), raising=False)
    with respx.mock(assert_all_called=False) as router:
        router.route(host=HOST).mock(side_effect=stripe.answer)
        stripe.is_used = False
        yield stripe
    for guard, what in _complaints(stripe, request):
        guard.fires(request.node, what)


def _complaints(stripe: MockStripe, request: pytest.FixtureRequest) -> Iterator[tuple[Guard, str]]:
    if stripe.unhandled:
        requests = ", ".join(dict.fromkeys(stripe.unhandled))
        yield UNHANDLED_REQUEST, f"mock_stripe has no response for {requests}."
    if stripe.missing_keys:
        yield MISSING_KEY, "the application sent a charge to Stripe without an idempotency key."
    # Only for a parameter of the test itself: another fixture may use the mock to block calls. A failed test may have
    # ended before its call.
    is_parameter = "mock_stripe" in inspect.signature(request.function).parameters
    if is_parameter and not stripe.is_used and request.node.stash.get(OUTCOME, None) == "passed":
        yield UNUSED_MOCK, "the test uses mock_stripe, but Stripe was not called and the test did not inspect the mock."
