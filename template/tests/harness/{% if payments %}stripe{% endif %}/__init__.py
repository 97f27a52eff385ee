"""Stripe's API, mocked: `from tests.harness.stripe import MockStripe`."""

from .mock import MockStripe

__all__ = ["MockStripe"]
