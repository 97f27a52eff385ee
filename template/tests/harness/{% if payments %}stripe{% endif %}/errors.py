"""Errors in the format of Stripe's API: https://docs.stripe.com/api/errors."""

from typing import Any

import httpx

# Error codes of a card. Any other reason is the decline code of "card_declined".
# https://docs.stripe.com/error-codes, https://docs.stripe.com/declines/codes
CARD_CODES = {
    "authentication_required",
    "card_decline_rate_limit_exceeded",
    "expired_card",
    "incorrect_address",
    "incorrect_cvc",
    "incorrect_number",
    "incorrect_zip",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "processing_error",
}


def card_error(reason: str) -> dict[str, Any]:
    """The fields of the error of a declined card, by its error code or decline code."""
    fields = {"type": "card_error", "message": "Your card was declined."}
    if reason in CARD_CODES:
        return {**fields, "code": reason}
    decline_code = "generic_decline" if reason == "card_declined" else reason
    return {**fields, "code": "card_declined", "decline_code": decline_code}


def error(status: int, type: str, message: str, **more: Any) -> httpx.Response:
    """An error response; `more` are other fields of the error, such as its code."""
    # Stripe-Should-Retry: the SDK does not retry, whatever its settings.
    headers = {"Stripe-Should-Retry": "false"}
    return httpx.Response(status, headers=headers, json={"error": {"type": type, "message": message, **more}})
