"""What costs somebody money, or lets them have something for nothing."""

from tests.mistakes.catalogue import Change, Edit, File, Guarded, Mistake, Right, Rule, SampleTest
from tests.mistakes.routes import included

TITLE = "Payments"

TEST = "tests/test_mistake.py"
RIGHTS = "tests/test_right.py"

PAYMENTS = "src/shop/payments.py"

EVENTS = SampleTest("test_payments.py::test_an_event_that_stripe_did_not_send_just_now_is_refused")

WHICH_EVENTS = "            await request.body(), stripe_signature, settings.stripe_webhook_secret.get_secret_value()\n"

TICKETS = """
import stripe
from fastapi import APIRouter, HTTPException, Request

from shop.auth import CurrentUser
from shop.deps import Db

router = APIRouter()

PRICE = {"amount": 1500, "currency": "eur", "payment_method": "pm_card_visa"}


@router.post("/tickets", status_code=201)
async def buy(current: CurrentUser, db: Db, request: Request, order: int) -> str | None:
    number = current.id
    await db.commit()
    client: stripe.StripeClient = request.state.stripe
"""


def route(text: str) -> list[Change]:
    """A route of the owner's own, which sells a ticket."""
    return [File("src/shop/tickets.py", TICKETS + text), included("tickets")]


def test(path: str, text: str) -> File:
    """A test of that route."""
    return File(path, "from httpx import AsyncClient\n\nfrom tests.harness.stripe import MockStripe\n\n" + text)


MISTAKES: list[Mistake] = [
    Mistake(
        "a charge without an idempotency key",
        "Its answer is lost, the customer tries again, and has paid twice.",
        [
            *route("""
    intent = await client.v1.payment_intents.create_async({**PRICE, "confirm": True})
    return intent.id
"""),
            test(
                TEST,
                """
async def test_a_ticket(mock_stripe: MockStripe, user_client: AsyncClient) -> None:
    assert (await user_client.post("/tickets?order=1")).status_code == 201
    assert mock_stripe.body["amount"] == "1500"
""",
            ),
        ],
        Guarded("missing_idempotency_key"),
        ["sent a charge to Stripe without an idempotency key", '{"idempotency_key": f"order-{order.id}"}'],
    ),
    Mistake(
        "a charge in a test that has not asked for the mock of Stripe",
        "With a key of Stripe's in the environment, it is one more request to somebody else's server for each run.",
        [
            *route("""
    await client.v1.payment_intents.create_async(PRICE)
    return "sold"
"""),
            test(
                TEST,
                """
async def test_a_ticket(user_client: AsyncClient) -> None:
    await user_client.post("/tickets?order=1")
""",
            ),
        ],
        Rule("guard `network`"),
        ["guard network: access to api.stripe.com", "The fixture `mock_stripe` mocks it."],
    ),
    Mistake(
        "an answer that Stripe would not give",
        "The test of what happens when Stripe refuses passes, since the mock knows nothing of what was asked.",
        [
            *route("""
    try:
        customer = await client.v1.customers.create_async({"name": f"user {number}"})
    except stripe.StripeError as error:
        raise HTTPException(503, "Stripe cannot be reached") from error
    return customer.id
"""),
            test(
                TEST,
                """
async def test_stripe_is_away(mock_stripe: MockStripe, user_client: AsyncClient) -> None:
    mock_stripe.is_broken()
    assert (await user_client.post("/tickets?order=1")).status_code == 503
""",
            ),
        ],
        Guarded("unhandled_stripe_request"),
        ["mock_stripe has no response for POST /v1/customers", 'mock_stripe.stub("POST", "/v1/customers", '],
    ),
    Mistake(
        "a webhook whose signature nobody checks",
        "Anybody says that they have paid.",
        [
            Edit(
                PAYMENTS,
                "event = stripe.Webhook.construct_event(",
                "event = (lambda body, *_: stripe.Event.construct_from(__import__('json').loads(body), 'none'))(",
            ),
        ],
        EVENTS,
        ["400"],
    ),
    Mistake(
        "a webhook that is taken however old it is",
        "Whoever has recorded one sends it again next year.",
        [Edit(PAYMENTS, WHICH_EVENTS, WHICH_EVENTS.rstrip() + ", tolerance=10**9\n")],
        EVENTS,
        ["assert 200 == 400"],
    ),
    Mistake(
        "a webhook that is handled twice",
        "Stripe sends some events more than once, and the second fails until it gives up.",
        [Edit(PAYMENTS, ".on_conflict_do_nothing()", "")],
        SampleTest("test_payments.py::test_an_event_that_comes_twice_is_handled_once"),
        ["uq_payments"],
    ),
]

RIGHT: list[Right] = [
    Right(
        "a customer of Stripe's, a charge that is not confirmed yet, and an issuer's reason",
        [
            *route("""
    customer = await client.v1.customers.create_async({"name": f"user {number}"})
    await client.v1.payment_intents.create_async({**PRICE, "customer": customer.id})
    try:
        key = {"idempotency_key": f"order-{order}"}
        await client.v1.payment_intents.create_async({**PRICE, "customer": customer.id, "confirm": True}, key)
    except stripe.CardError as error:
        raise HTTPException(402, [error.code, error.error.decline_code, error.error.payment_intent.status]) from error
    return customer.id
"""),
            test(
                RIGHTS,
                """
import pytest

@pytest.mark.parametrize(
    ("reason", "code", "decline_code"),
    [
        ("insufficient_funds", "card_declined", "insufficient_funds"),
        ("card_declined", "card_declined", "generic_decline"),
        ("expired_card", "expired_card", None),
    ],
)
async def test_a_ticket(
    mock_stripe: MockStripe, user_client: AsyncClient, reason: str, code: str, decline_code: str | None
) -> None:
    mock_stripe.stub("POST", "/v1/customers", {"id": "cus_1", "object": "customer"})
    assert (await user_client.post("/tickets?order=1")).json() == "cus_1"
    assert mock_stripe.body["customer"] == "cus_1"

    mock_stripe.declines(reason)
    refused = await user_client.post("/tickets?order=2")

    assert refused.status_code == 402
    assert refused.json()["detail"] == [code, decline_code, "requires_payment_method"]
    assert "order-1" in mock_stripe.charges
    assert "order-2" not in mock_stripe.charges
""",
            ),
        ],
    ),
]
