"""A library that is older than the harness needs or missing ends the process with one line."""

import subprocess
from pathlib import Path

import pytest

from tests.harness.sample import Sample

TEST = "def test_a() -> None: ...\n"
LINE = "ERROR: tests/harness: sqlalchemy 2.0.40 or newer is needed; 2.0.39 is installed."
# Without the httpx of the environment.
HIDDEN = """
import importlib.metadata

version = importlib.metadata.version

def without_httpx(name):
    if name.startswith("httpx"):
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = without_httpx
"""


@pytest.fixture
def old(sample: Sample) -> Path:
    """A folder of Python packages whose SQLAlchemy is too old."""
    folder = sample.folder / "old"
    metadata = folder / "sqlalchemy-2.0.39.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: SQLAlchemy\nVersion: 2.0.39\n")
    return folder


def run(sample: Sample, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    paths = f"{folder}:{sample.env.get('PYTHONPATH', '')}"
    return sample.run(sample.python, "-m", *command, PYTHONPATH=paths)


@pytest.mark.parametrize("command", [("pytest",), ("pytest", "-n", "2"), ("tests.harness", "--help")], ids=" ".join)
def test_a_library_that_is_too_old(sample: Sample, old: Path, command: tuple[str, ...]) -> None:
    sample.write("tests/test_a.py", TEST)

    done = run(sample, old, *command)

    assert done.returncode == 4, done.stdout
    assert done.stdout.strip() == LINE


def test_a_missing_library(sample: Sample) -> None:
    sample.write("tests/test_a.py", TEST)
    (sample.folder / "hidden").mkdir()
    sample.write("hidden/sitecustomize.py", HIDDEN)

    done = run(sample, sample.folder / "hidden", "pytest")

    assert done.returncode == 4, done.stdout
    assert done.stdout.strip() == (
        "ERROR: tests/harness: httpx 0.27.0 or httpx2 2.0.0 or newer is needed, and is not installed."
    )
