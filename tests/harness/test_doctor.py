"""`doctor` shows what a run uses, which versions are newer, and what is missing."""

import re
from pathlib import Path

import pytest

from tests.harness.sample import Sample
from tests.preloaded import run_module
from tests.rendering import git

ANSWERS = ".copier-answers.yml"


def doctor(sample: Sample, code: int = 0, **env: str) -> str:
    done = run_module(sample, "tests.harness", "doctor", **env)
    assert done.returncode == code, done.stdout
    return done.stdout


def harness_of(sample: Sample) -> str:
    [found] = re.findall(r'^__version__ = "(.+)"$', (sample.folder / "tests/harness/__init__.py").read_text(), re.M)
    return str(found)


def from_repository(sample: Sample, folder: Path, *tags: str) -> Path:
    """Let the project come from a repository with these tags."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "a")
    for tag in tags:
        git(folder, "tag", tag)
    sample.write(ANSWERS, f"_commit: v0.1.0\n_src_path: {folder}\n")
    return folder


def with_a_guard(sample: Sample) -> None:
    """As those of Stripe are, it is made by a module that is not one of the harness's guards."""
    conftest = (sample.folder / "tests/conftest.py").read_text()
    guard = 'LOG_LEVEL = Guard("log_level", why="It changes.", instead="Change it in a fixture.")'
    sample.write("tests/conftest.py", f"{conftest}\nfrom tests.harness import Guard\n{guard}\n")


def test_what_a_run_uses(sample: Sample, tmp_path: Path) -> None:
    from_repository(sample, tmp_path / "template", f"v{harness_of(sample)}", "v0.1.0", "not-a-version")
    with_a_guard(sample)

    shown = doctor(sample)

    assert f"Harness     {harness_of(sample)}, the newest of {tmp_path / 'template'}\n" in shown
    assert re.search(r"^Libraries   pytest \d.*, sqlalchemy \d.*, squawk-cli \d", shown, re.M)
    assert re.search(r"^PostgreSQL  18\.\d+ from .+, data in ", shown, re.M)
    assert "  postgres_version = 18\n" in shown
    assert "slow_test_seconds" not in shown
    [guards] = re.findall(r"^Guards      (.*)$", shown, re.M)
    assert {"idle_in_transaction", "log_level"} <= set(guards.split(", "))


def test_a_repository_without_versions(sample: Sample, tmp_path: Path) -> None:
    from_repository(sample, tmp_path / "template", "not-a-version")

    assert f"Newer versions are unknown: {tmp_path / 'template'} has no tag of a version\n" in doctor(sample)


def test_newer_versions_are_ordered_by_number(sample: Sample, tmp_path: Path) -> None:
    from_repository(sample, tmp_path / "template", "v0.1.0", "v98.10.0", "v98.9.0", "v98.9.0.post1")

    assert f"{harness_of(sample)}; newer in {tmp_path / 'template'}: 98.9.0, 98.9.0.post1, 98.10.0\n" in doctor(sample)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("", "none of .copier-answers.savepoint.yml and .copier-answers.yml has an address of the template"),
        ("_src_path: /nowhere", "'/nowhere' does not appear to be a git repository"),
        (
            "_src_path: https://ada:s3cret@127.0.0.1:1/savepoint",
            "https://127.0.0.1:1/savepoint: fatal: unable",
        ),
    ],
)
def test_a_repository_that_cannot_be_read(sample: Sample, answers: str, words: str) -> None:
    sample.write(ANSWERS, f"_commit: v0.1.0\n{answers}\n")

    shown = doctor(sample)

    assert "Newer versions are unknown: " in shown
    assert words in shown
    assert "s3cret" not in shown
    assert "PostgreSQL  18." in shown


def test_a_server_that_is_missing(sample: Sample, tmp_path: Path) -> None:
    from_repository(sample, tmp_path / "template")

    shown = doctor(sample, 1, POSTGRES_BIN="/nowhere")

    assert "PostgreSQL  None: POSTGRES_BIN" in shown
    assert "Traceback" not in shown


def test_settings_and_guards_that_are_off(sample: Sample, tmp_path: Path) -> None:
    from_repository(sample, tmp_path / "template")
    with_a_guard(sample)
    pyproject = (sample.folder / "pyproject.toml").read_text()
    assert "[tool.savepoint]\n" in pyproject
    setting = 'disabled_guards = ["log_level", "network"]'
    sample.write("pyproject.toml", pyproject.replace("[tool.savepoint]\n", f"[tool.savepoint]\n{setting}\n"))

    shown = doctor(sample)

    assert "  disabled_guards = ['log_level', 'network']\n" in shown
    assert "Off: log_level, network\n" in shown
