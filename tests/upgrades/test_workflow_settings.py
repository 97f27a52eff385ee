"""Runner, schedules and package index of the workflows are answers: an update leaves them, and does not conflict."""

import base64
import os
import re
import shlex
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from tests.environment import UV, clean
from tests.pages import shell_blocks
from tests.quick_renders import COPIER
from tests.releases import Release
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History, Later, needs_trust
from tests.upgrades.lived_in import Owned

HEADING = "### Runner, schedules and package index"
WORKFLOWS = [f".github/workflows/{name}.yml" for name in ("nightly", "tests", "update")]
SETTINGS = {
    "ci_runner": "[self-hosted, linux]",
    "ci_nightly": "17 2 * * *",
    "ci_update": "17 5 * * 3",
    "ci_index": "https://packages.example.com/simple",
}
JOB = """
  another:
    name: another
{% endraw %}
    runs-on: {{ ci_runner }}{% raw %}
    timeout-minutes: 5
    permissions: {}
    steps:
      - run: "true"
{% endraw %}
"""


def runners(project: Owned) -> set[str]:
    """What the jobs run on."""
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(project.read(path))["jobs"].values()]
    return {str(job["runs-on"]) for job in jobs}


def edit_the_lines_beside(project: Owned) -> None:
    for path in WORKFLOWS:
        project.edit(path, lambda text: re.sub(r"timeout-minutes: (\d+)", r"timeout-minutes: \g<1>1", text))
    project.replace(".github/workflows/tests.yml", '  UV_LOCKED: "1"\n', '  UV_LOCKED: "1"\n  OF_THE_OWNER: "1"\n')
    project.commit("Longer time limits")


def a_later_job(history: History) -> dict[str, str | None]:
    """A change of the template that adds a job."""
    workflow = (history.folder / "template/.github/workflows/tests.yml.jinja").read_text()
    return {".github/workflows/tests.yml.jinja": workflow.removesuffix("{% endraw %}\n") + JOB.lstrip("\n")}


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_a_setting_is_an_answer(history: History, rendered: Rendered, project: Owned, name: str, value: str) -> None:
    [command] = shell_blocks(project.read("tests/README.md"), HEADING)
    command = command.replace("ci_runner=my-runner", shlex.quote(f"{name}={value}"))

    subprocess.run(
        ["bash", "-e", "-c", command.replace("uvx copier", shlex.join(COPIER))],
        cwd=project.folder,
        check=True,
        stdin=subprocess.DEVNULL,
    )

    assert project.conflicts() == []
    fresh = rendered(history.next, **{name: value})
    assert project.contents("template", "shared") == fresh.contents("template", "shared")
    assert yaml.safe_load(project.read(".copier-answers.yml"))[name] == value


def test_settings_that_are_not_set_are_not_stored(project: Owned) -> None:
    assert not SETTINGS.keys() & yaml.safe_load(project.read(".copier-answers.yml")).keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ci_runner", "a b"),
        ("ci_runner", "[a, b"),
        ("ci_nightly", "daily"),
        ("ci_update", '1 2 3 4 5"'),
        ("ci_index", "https://user:secret@packages.example.com/simple"),
    ],
)
def test_a_setting_that_would_break_a_workflow_is_refused(
    history: History, tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ValueError, match="must be"):
        Owned.rendered(history.folder, history.next, tmp_path / "project", **{name: value})


def test_a_later_version_does_not_conflict_with_settings_and_edits_beside_them(
    history: History, project: Owned, later: Later
) -> None:
    project.update(history.next, trust=False, **SETTINGS)
    project.commit("Settings")
    edit_the_lines_beside(project)
    later(a_later_job(history))

    project.update("v99.0.0")

    assert project.conflicts() == []
    assert runners(project) == {"['self-hosted', 'linux']"}
    assert "another" in yaml.safe_load(project.read(".github/workflows/tests.yml"))["jobs"]
    assert project.read(".github/workflows/nightly.yml").count('cron: "17 2 * * *"') == 1
    assert "timeout-minutes: 151" in project.read(".github/workflows/tests.yml")


def test_an_older_project_with_a_runner_of_its_own_does_not_conflict(
    history: History, rendered: Rendered, later: Later, project: Owned, tmp_path: Path
) -> None:
    """It has edited `runs-on` and the lines beside; then the answer is written into the file of answers."""
    release: Release = history.releases[-1]
    old = rendered(release.tag).copy(tmp_path / "old")
    for path in WORKFLOWS:
        if (old.folder / path).exists():
            old.edit(path, lambda text: re.sub(r"runs-on: .*\n( +timeout-minutes: )", r"runs-on: mine\n\g<1>1", text))
    old.commit("A runner of our own")

    old.update(history.next, trust=needs_trust(release, history))

    assert old.conflicts() == []
    old.edit(".copier-answers.yml", lambda text: text + "ci_runner: mine\n")
    for path in WORKFLOWS:
        old.edit(path, lambda text: text.replace("runs-on: ubuntu-24.04", "runs-on: mine"))
    old.commit("The answer")
    evolved = later(a_later_job(history))
    old.replace(".copier-answers.yml", f"_src_path: {history.folder}", f"_src_path: {evolved.folder}")
    old.commit("The template has moved")
    old.update("v99.0.0")
    assert old.conflicts() == []
    assert runners(old) == {"mine"}
    assert "timeout-minutes: 115" in old.read(".github/workflows/tests.yml")


def test_uv_asks_the_index_with_its_password(history: History, tmp_path: Path) -> None:
    asked: list[str] = []

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            self.send_error(404 if asked[-1] else 401)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        index = f"http://127.0.0.1:{server.server_port}/simple"
        project = Owned.rendered(history.folder, history.next, tmp_path / "project", ci_index=index)
        env = yaml.safe_load(project.read(".github/workflows/update.yml"))["env"]
        env |= {"UV_INDEX_PRIVATE_USERNAME": "user", "UV_INDEX_PRIVATE_PASSWORD": "secret"}
        of_project = {name: value for name, value in env.items() if name != "UV_DEFAULT_INDEX"}
        for variables, command in ((of_project, [UV, "lock"]), (env, [UV, "tool", "run", "copier"])):
            asked.clear()
            cache = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_PROGRESS": "1"}
            done = subprocess.run(
                command,
                cwd=project.folder,
                env={**clean(os.environ), **variables, **cache},
                capture_output=True,
                text=True,
            )
            assert done.returncode != 0
            assert f"Basic {base64.b64encode(b'user:secret').decode()}" in asked, done.stderr
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
