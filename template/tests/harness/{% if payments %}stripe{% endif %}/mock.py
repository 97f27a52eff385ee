"""A mock of Stripe's API for PaymentIntents, below the client that the application uses.

The mock responds as the API does, failures included, and records the requests. It replaces the transport, so that the
SDK's serialization, retries and errors are real. It creates PaymentIntents (`POST /v1/payment_intents`); a test stubs
other responses. Requests to other hosts are refused.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx

from .errors import card_error, error

PAYMENT_INTENTS = ("POST", "/v1/payment_intents")

# A test that uses one of these uses the mock, even if Stripe is not called.
INSPECTING = {"calls", "charges", "body", "idempotency_key", "meanwhile", "event", "sign"}

# The prefix of keys that the SDK generates for each request.
GENERATED = "generated-by-the-sdk-"


@dataclass
class MockStripe:
    """The requests to Stripe, and its next responses.

    Attributes:
        calls: every request that reached the mock, in order.
        charges: the created PaymentIntents, by idempotency key, in the format of Stripe's API.
        meanwhile: called during each request, e.g. to check which resources the application holds.
        unhandled: the requests without a response, such as "POST /v1/customers".
        missing_keys: the number of charges without an idempotency key of the application.
        is_used: whether Stripe was called, or the test has inspected the mock.
    """

    calls: list[httpx.Request] = field(default_factory=list)
    charges: dict[str, dict[str, Any]] = field(default_factory=dict)
    meanwhile: Callable[[], object] | None = None
    unhandled: list[str] = field(default_factory=list)
    missing_keys: int = 0
    is_used: bool = False
    _status: str | None = None
    _failure: httpx.Response | Exception | dict[str, Any] | None = None
    _stubs: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    _intents: int = 0
    _results: dict[str, tuple[dict[str, str], httpx.Response]] = field(default_factory=dict)

    def __getattribute__(self, name: str) -> Any:
        if name in INSPECTING:
            self.is_used = True
        return super().__getattribute__(name)

    @property
    def body(self) -> dict[str, str]:
        """The fields of the last request; nested fields are named as in `metadata[user_id]`."""
        return dict(parse_qsl(self.calls[-1].content.decode()))

    @property
    def idempotency_key(self) -> str | None:
        """The idempotency key of the last request."""
        key: str | None = self.calls[-1].headers.get("Idempotency-Key")
        return key

    def stub(self, method: str, path: str, json: Any, *, status: int = 200) -> None:
        """From now on, respond to this request, such as "POST", "/v1/customers"."""
        self._stubs[method, path] = status, json

    def declines(self, code: str = "card_declined") -> None:
        """From now on, the card is declined: 402.

        Args:
            code: a decline code, such as "insufficient_funds", which Stripe sends as the `decline_code` of
                "card_declined"; or an error code, such as "expired_card".
        """
        self._failure = card_error(code)

    def refuses(self, code: str = "resource_missing") -> None:
        """From now on, the request is invalid, e.g. a payment method that does not exist: 400."""
        self._fail(400, "invalid_request_error", "No such PaymentMethod.", code=code)

    def rate_limits(self) -> None:
        """From now on, there are too many requests: 429."""
        self._fail(429, "invalid_request_error", "Too many requests.", code="rate_limit")

    def is_busy(self) -> None:
        """From now on, another request with the same key is in progress: 409."""
        self._fail(409, "idempotency_error", "There is another in-progress request.", code="idempotency_key_in_use")

    def is_broken(self) -> None:
        """From now on, Stripe has an internal error: 500."""
        self._fail(500, "api_error", "An error occurred.")

    def is_down(self) -> None:
        """From now on, connections to Stripe fail."""
        self._failure = httpx.ConnectError("connection refused")

    def is_slow(self) -> None:
        """From now on, charges are created, but their responses time out."""
        self._failure = httpx.ReadTimeout("timed out")

    def answers(self, status: str) -> None:
        """From now on, new charges have this status, such as "processing"."""
        self._status = status

    def works(self) -> None:
        """From now on, requests succeed. A key with a result keeps its result."""
        self._status, self._failure = None, None

    def event(self, type: str, charge: dict[str, Any], *, id: str = "evt_1") -> bytes:
        """The body of an event about a charge, such as "payment_intent.succeeded"."""
        event = {"id": id, "object": "event", "type": type, "created": int(time.time()), "data": {"object": charge}}
        return json.dumps(event).encode()

    def sign(self, payload: bytes, secret: str, *, seconds_ago: int = 0) -> dict[str, str]:
        """The signature header for these bytes: https://docs.stripe.com/webhooks#verify-manually."""
        timestamp = int(time.time()) - seconds_ago
        signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={timestamp},v1={signature}"}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The response to a request: https://docs.stripe.com/api/payment_intents/create."""
        self.calls.append(request)
        if self.meanwhile is not None:
            self.meanwhile()
        if isinstance(self._failure, httpx.ConnectError):
            raise self._failure
        endpoint = (request.method, request.url.path)
        if endpoint in self._stubs:
            status, json = self._stubs[endpoint]
            response = httpx.Response(status, json=json)
        elif endpoint == PAYMENT_INTENTS:
            response = self._result(request)
        else:
            self.unhandled.append(" ".join(endpoint))
            response = error(404, "invalid_request_error", "Unrecognized request URL.")
        if isinstance(self._failure, httpx.ReadTimeout):
            raise self._failure
        return response

    def _result(self, request: httpx.Request) -> httpx.Response:
        """The response for the request's key, the same in a retry: https://docs.stripe.com/api/idempotent_requests."""
        failure = self._failure if isinstance(self._failure, httpx.Response) else None
        # Stripe checks these before the idempotency key.
        if failure is not None and failure.status_code in (409, 429):
            return failure
        body = self.body
        key = request.headers.get("Idempotency-Key") or f"{GENERATED}{len(self.calls)}"
        if key.startswith(GENERATED) and body.get("confirm") == "true":
            self.missing_keys += 1
        if key in self._results:
            first_body, result = self._results[key]
            message = "Keys for idempotent requests can only be used with the same parameters."
            return result if body == first_body else error(400, "idempotency_error", message)
        # Validation errors are not cached for the key.
        if failure is not None and failure.status_code == 400:
            return failure
        result = self._charge(key, body) if failure is None else failure
        self._results[key] = body, result
        return result

    def _charge(self, key: str, body: dict[str, str]) -> httpx.Response:
        is_confirmed = body.get("confirm") == "true"
        if isinstance(self._failure, dict) and is_confirmed:
            intent = {**self._intent(body, "requires_payment_method"), "last_payment_error": self._failure}
            return error(402, **self._failure, payment_intent=intent)
        missing = "requires_confirmation" if "payment_method" in body else "requires_payment_method"
        self.charges[key] = self._intent(body, self._status or ("succeeded" if is_confirmed else missing))
        return httpx.Response(200, json=self.charges[key])

    def _intent(self, body: dict[str, str], status: str) -> dict[str, Any]:
        self._intents += 1
        return {
            "id": f"pi_{self._intents}",
            "object": "payment_intent",
            "amount": int(body["amount"]),
            "currency": body["currency"],
            "metadata": {name[9:-1]: value for name, value in body.items() if name.startswith("metadata[")},
            "status": status,
        }

    def _fail(self, status: int, type: str, message: str, **more: str) -> None:
        self._failure = error(status, type, message, **more)
