"""Adds the harness to a service that exists: `python -m tests.harness.adopt`."""
