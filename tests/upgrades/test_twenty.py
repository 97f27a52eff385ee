"""Twenty services, of several releases and answers, updated by the one command of docs/updates.md, with uv itself."""

import os
import re
import shlex
import subprocess
from itertools import cycle, islice, product
from pathlib import Path

import pytest

from tests import interpreters, postgres_majors
from tests.environment import UV, clean
from tests.pages import shell_blocks
from tests.quick_renders import COPIER
from tests.releases import Release
from tests.rendering import ROOT
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History, needs_trust
from tests.upgrades.lived_in import Owned
from tests.upgrades.typed import OWNER

pytestmark = pytest.mark.xdist_group("twenty")

# Twenty take 5 minutes of CPU; the workflow runs them on main.
MANY = int(os.environ.get("SAVEPOINT_SERVICES", "4"))

# The services share an environment for each Python, and uv's cache; PostgreSQL is of the major that they name.
UV_OF_A_SERVICE = """\
#!/bin/sh
answer() {{ sed -n "s/^$1: '*\\\\([0-9.]*\\\\)'*$/\\\\1/p" .copier-answers.yml; }}
export UV_PYTHON="$(cat "{scratch}/python-$(answer python_version)")"
export UV_PROJECT_ENVIRONMENT="{scratch}/environment-$(answer python_version)"
[ ! -e "{scratch}/postgres-$(answer postgres_version)" ] ||
  export POSTGRES_BIN="$(cat "{scratch}/postgres-$(answer postgres_version)")"
exec {uv} "$@"
"""


def test_twenty_services_are_green_after_one_command(history: History, rendered: Rendered, tmp_path: Path) -> None:
    services = twenty(history, rendered, tmp_path / "services")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for python in {interpreters.serving(wanted) for wanted in interpreters.WANTED}:
        (scratch / f"python-{python}").write_text(str(interpreters.found(python)))
    for major in postgres_majors.RELEASES:
        if found := postgres_majors.installed(major):
            (scratch / f"postgres-{major}").write_text(str(found))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(UV_OF_A_SERVICE.format(scratch=scratch, uv=UV))
    (tmp_path / "bin/uv").chmod(0o755)
    [script] = shell_blocks((ROOT / "docs/updates.md").read_text(), "## Update many services")
    env = {**clean(os.environ), **OWNER}

    done = subprocess.run(
        ["bash", "-c", script.replace("uvx copier", shlex.join(COPIER))],
        cwd=tmp_path / "services",
        env={**env, "PATH": f"{tmp_path / 'bin'}:{env['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    print(done.stdout)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "not updated: none"
    assert len(re.findall(r"^=+ \d+ passed(?:, 1 skipped)? in ", done.stdout, re.M)) == MANY
    for service in services:
        assert f"_commit: {history.next}" in service.read(".copier-answers.yml")
        assert service.git("log", "-1", "--format=%s") == "Update from Savepoint\n"
        assert service.changed() == []


def twenty(history: History, rendered: Rendered, folder: Path) -> list[Owned]:
    """Services of the releases from which an update needs no trust, with different answers."""
    releases = [release for release in history.releases if not needs_trust(release, history)]
    assert releases
    majors = [18, *(major for major in postgres_majors.RELEASES if postgres_majors.installed(major))]
    features = list(product((True, False), (True, False)))
    choices = zip(
        range(MANY),
        cycle(releases),
        cycle(majors),
        cycle(interpreters.WANTED),
        cycle(features),
        islice(cycle(("80", "70", "0")), MANY),
        strict=False,
    )
    return [
        service(rendered, release, folder / f"service-{number:02}", major, python, threshold, *feature)
        for number, release, major, python, feature, threshold in choices
    ]


def service(
    rendered: Rendered,
    release: Release,
    folder: Path,
    major: int,
    python: str,
    threshold: str,
    auth: bool,
    payments: bool,
) -> Owned:
    answers = {
        "project_name": f"The {folder.name}",
        "postgres_version": major,
        "python_version": interpreters.serving(python),
        "coverage_threshold": threshold,
        "auth": auth,
        "payments": payments,
    }
    return rendered(release.tag, **answers).copy(folder)
