"""`doctor` shows what a run uses, which versions are newer, and what is missing."""

import re
from pathlib import Path

import pytest

from tests.harness.sample import Sample
from tests.preloaded import run_module
from tests.rendering import git

ANSWERS = ".copier-answers.yml"


def doctor(sample: Sample, **env: str) -> str:
    done = run_module(sample, "tests.harness", "doctor", **env)
    assert done.returncode == 0, done.stdout
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


def test_what_a_run_uses(sample: Sample, tmp_path: Path) -> None:
    from_repository(sample, tmp_path / "template", f"v{harness_of(sample)}", "v0.1.0", "not-a-version")

    shown = doctor(sample)

    assert f"Harness     {harness_of(sample)}, the newest of {tmp_path / 'template'}\n" in shown
    assert re.search(r"^Libraries   pytest \d.*, sqlalchemy \d.*, squawk-cli \d", shown, re.M)
    assert re.search(r"^PostgreSQL  18\.\d+ from .+, data in ", shown, re.M)
    assert "  postgres_version = 18\n" in shown
    assert "slow_test_seconds" not in shown
    assert re.search(r"^Guards      .*idle_in_transaction", shown, re.M)


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

    shown = doctor(sample, POSTGRES_BIN="/nowhere")

    assert "PostgreSQL  None: POSTGRES_BIN" in shown
    assert "Traceback" not in shown


def test_settings_and_guards_that_are_off(sample: Sample, tmp_path: Path) -> None:
    from_repository(sample, tmp_path / "template")
    pyproject = (sample.folder / "pyproject.toml").read_text()
    assert "[tool.savepoint]\n" in pyproject
    sample.write(
        "pyproject.toml", pyproject.replace("[tool.savepoint]\n", '[tool.savepoint]\ndisabled_guards = ["network"]\n')
    )

    shown = doctor(sample)

    assert "  disabled_guards = ['network']\n" in shown
    assert "Off: network\n" in shown
