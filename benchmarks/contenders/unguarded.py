"""The harness with all its guards turned off, as `disabled_guards` does: what they add is the difference."""

from importlib import import_module


def pytest_configure() -> None:
    guard = import_module("tests.harness.guards.base").Guard
    guard.is_on = lambda self, config: False
