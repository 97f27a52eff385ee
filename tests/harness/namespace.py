"""Runs pytest in separate namespaces, with other mounts and processes, which are not visible outside."""

import os
import shutil

import pytest

from tests.harness.sample import Outcome, Sample


def run_apart(sample: Sample, script: str, *arguments: str, options: str = "--mount", **env: str) -> Outcome:
    """Run a shell script in which `"$@"` runs the project's tests; skips the test if namespaces are not allowed.

    Args:
        options: options of unshare, for the namespaces to create.
    """
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        pytest.skip("only root can mount, and only Linux can do so for some")
    apart = [unshare, *options.split(), "sh", "-c", script, "sh"]
    return Outcome.of(sample.run(*apart, *sample.command(*arguments), **env))
