"""Runs of pytest in namespaces of their own: other mounts, other processes, and nothing of them is seen outside."""

import os
import shutil

import pytest

from tests.harness.sample import Outcome, Sample


def run_apart(sample: Sample, script: str, *arguments: str, options: str = "--mount", **env: str) -> Outcome:
    """Run a script of sh in which `"$@"` is the project's tests; skips the test if that is not allowed here.

    Args:
        options: of unshare, which namespaces are to be new.
    """
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        pytest.skip("only root can mount, and only Linux can do so for some")
    apart = [unshare, *options.split(), "sh", "-c", script, "sh"]
    return Outcome.of(sample.run(*apart, *sample.command(*arguments), **env))
