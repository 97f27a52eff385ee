"""The commands of `python -m tests.harness`: each runs in a session of pytest, with the project's conftest."""
