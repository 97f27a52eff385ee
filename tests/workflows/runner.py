"""A workflow's jobs, run here: their steps in order, by bash as GitHub runs them, each job in a clone of its own.

What a runner brings is replaced: actions by what they do to files, a service by a server that is there. A key or an
action that is not known here is an error, so that nothing of a workflow is passed over.
"""

import itertools
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import yaml
from harness.postgres.server import Server

from tests.environment import UV, Project
from tests.workflows.expressions import Names, as_text, evaluate, inserted

Result = Literal["success", "failure", "skipped"]
Keys = Mapping[str, Any]

OF_A_JOB = "name, if, needs, runs-on, timeout-minutes, permissions, strategy, services, env, steps"
OF_A_STEP = "name, if, uses, with, run, env, shell"

# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
SHELLS = {None: ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}

RUN_ID = 123456789012  # longer than 32 bits, as GitHub's are


@dataclass
class Job:
    """One job, or one of a matrix, that has run.

    Attributes:
        log: what its steps have printed, each after a line with its command.
        summary: what they have written on the run's page.
        failed: the command of the first step that failed.
    """

    name: str
    result: Result = "success"
    log: str = ""
    summary: str = ""
    failed: str | None = None


@dataclass
class Run:
    """A run of a workflow: its jobs, and a folder that has a folder for each artifact."""

    artifacts: Path
    jobs: dict[str, list[Job]] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, Result]:
        return {name: _together([job.result for job in jobs]) for name, jobs in self.jobs.items()}


def _together(results: Sequence[Result]) -> Result:
    if "failure" in results:
        return "failure"
    return "skipped" if "skipped" in results else "success"


@dataclass(frozen=True)
class Workflow:
    """A workflow of a project that is a repository with everything committed.

    Attributes:
        name: of its file.
        server: what a service is replaced with.
        scratch: a folder for clones and artifacts.
        event: what it is run by.
    """

    project: Project
    name: str
    server: Server
    scratch: Path
    event: str = "push"
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(self, *names: str, artifacts: Path | None = None) -> Run:
        """Run jobs, in the order of their needs: all of them, or these, the others being taken to have succeeded.

        Args:
            names: the jobs.
            artifacts: what the others are taken to have left.
        """
        workflow = yaml.safe_load((self.project.folder / ".github" / "workflows" / f"{self.name}.yml").read_text())
        waiting = {name: workflow["jobs"][name] for name in names or workflow["jobs"]}
        run = Run(artifacts or self.folder("artifacts"))
        while waiting:
            name = next(name for name, job in waiting.items() if not waiting.keys() & set(_needs(job)))
            run.jobs[name] = list(self._jobs(workflow, waiting.pop(name), run))
        return run

    def _jobs(self, workflow: Keys, job: Keys, run: Run) -> Iterator[Job]:
        """A job, as often as its matrix says."""
        _known(job, OF_A_JOB)
        needs: dict[str, dict[str, Result]] = {
            need: {"result": run.results.get(need, "success")} for need in _needs(job)
        }
        github = {"run_id": RUN_ID, "event_name": self.event, "token": "the-token"}
        matrix = job.get("strategy", {}).get("matrix", {})
        combinations = [dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())]
        for combination in combinations:
            names = {
                "github": github,
                "secrets": defaultdict(str),  # a secret that is not set is empty
                "needs": needs,
                "strategy": {"job-total": len(combinations)},
                "matrix": combination,
            }
            done = Job(inserted(job["name"], names))
            if _is_wanted(job, [need["result"] for need in needs.values()], names):
                _Machine(self, workflow, job, names, run.artifacts, done).run()
            else:
                done.result = "skipped"
            yield done

    def folder(self, name: str) -> Path:
        """A new folder in the scratch folder."""
        folder = self.scratch / f"{next(self._numbers)}-{name}"
        folder.mkdir(parents=True)
        return folder

    def database(self) -> str:
        """The URL of a new database, empty, on the server."""
        name = f"service_{next(self._numbers)}"
        with self.server.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://postgres@/{name}?host={self.server.host}"


def _known(keys: Keys, known: str) -> None:
    assert keys.keys() <= set(known.split(", ")), f"{keys.keys() - set(known.split(', '))} is not supported"


def _needs(job: Keys) -> list[str]:
    needs: str | list[str] = job.get("needs", [])
    return [needs] if isinstance(needs, str) else needs


def _is_wanted(item: Keys, before: Sequence[Result], names: Names) -> bool:
    """Whether a job or a step runs, after those with these results."""
    condition = as_text(item.get("if", "success()"))
    is_good = set(before) <= {"success"}
    if not is_good and not re.search(r"\b(always|cancelled|failure|success)\(\)", condition):
        return False
    functions = {
        "always": lambda: True,
        "cancelled": lambda: False,
        "failure": lambda: "failure" in before,
        "success": lambda: is_good,
    }
    return bool(evaluate(condition, {**functions, **names}))


class _Machine:
    """Where one job runs: an empty folder, until a step checks the project out."""

    def __init__(self, of: Workflow, workflow: Keys, job: Keys, names: Names, artifacts: Path, done: Job) -> None:
        self.of, self.job, self.artifacts, self.done = of, job, artifacts, done
        self.shell = workflow.get("defaults", {}).get("run", {}).get("shell")
        folder = of.folder("job")
        self.script, self.summary, self.workspace = folder / "step.sh", folder / "summary.md", folder / "workspace"
        self.summary.touch()
        self.workspace.mkdir()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.has_uv = False
        env = _written({**workflow.get("env", {}), **job.get("env", {})}, names)
        self.names = {**names, "env": env}
        self.env = {
            **of.project.env,
            "PATH": f"{Path(UV).parent}:{of.project.env['PATH']}",
            # It is compiled already, once for all.
            "UV_COMPILE_BYTECODE": "0",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": of.event,
            "GITHUB_RUN_ID": str(RUN_ID),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.temporary),
            **self.on_the_server(env),
        }

    def on_the_server(self, env: Mapping[str, str]) -> dict[str, str]:
        """These variables, those that name a service of the job naming the server instead."""
        addresses = [
            f"postgresql://postgres:{service['env']['POSTGRES_PASSWORD']}@localhost:{port.partition(':')[0]}/postgres"
            for service in self.job.get("services", {}).values()
            for port in service["ports"]
        ]
        replaced = {name: self.of.database() if value in addresses else value for name, value in env.items()}
        assert "localhost" not in "".join(replaced.values()), f"no service is there: {replaced}"
        return replaced

    def run(self) -> None:
        results: list[Result] = []
        for step in self.job["steps"]:
            _known(step, OF_A_STEP)
            if not _is_wanted(step, results, self.names):
                continue
            what = step.get("run") or step["uses"]
            self.done.log += f"\n::group::{what}\n"
            is_good = True
            if "run" in step:
                is_good = self.command(step)
            else:
                self.action(step)
            results.append("success" if is_good else "failure")
            if not is_good:
                self.done.result = "failure"
                self.done.failed = self.done.failed or what
        self.done.summary = self.summary.read_text()
        print(self.done.log)

    def command(self, step: Keys) -> bool:
        self.script.write_text(inserted(step["run"], self.names))
        assert self.has_uv or not re.search(r"\buv\b", step["run"]), "uv is used before setup-uv has brought it"
        done = subprocess.run(
            [*SHELLS[step.get("shell", self.shell)], str(self.script)],
            cwd=self.workspace,
            env=self.env | _written(step.get("env", {}), self.names),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60 * self.job["timeout-minutes"],
        )
        self.done.log += done.stdout
        return done.returncode == 0

    def action(self, step: Keys) -> None:
        given: dict[str, Any] = {
            name: inserted(value, self.names) if isinstance(value, str) else value
            for name, value in step["with"].items()
        }
        name = step["uses"].partition("@")[0]
        if name == "actions/checkout":
            _known(given, "fetch-depth, persist-credentials")
            self.check_out(given.get("fetch-depth", 1))
        elif name == "astral-sh/setup-uv":
            _known(given, "python-version, enable-cache")
            self.has_uv = True
        elif name == "actions/upload-artifact":
            _known(given, "name, path, include-hidden-files, overwrite")
            self.upload(given["name"], given["path"].split(), bool(given.get("include-hidden-files")))
        elif name == "actions/download-artifact":
            _known(given, "pattern, merge-multiple")
            self.download(given["pattern"])
        else:
            raise AssertionError(f"{name} is not supported")

    def check_out(self, depth: int) -> None:
        shallow = ["--depth", str(depth)] if depth else []
        source = f"file://{self.of.project.folder}"  # by its protocol, since a path is never cloned shallowly
        subprocess.run(["git", "clone", "--quiet", *shallow, source, str(self.workspace)], check=True)

    def upload(self, name: str, patterns: Sequence[str], with_hidden: bool) -> None:
        (self.artifacts / name).mkdir()
        for file in (file for pattern in patterns for file in self.workspace.glob(pattern)):
            if with_hidden or not file.name.startswith("."):
                shutil.copy2(file, self.artifacts / name)

    def download(self, pattern: str) -> None:
        for folder in sorted(self.artifacts.iterdir()):
            if fnmatch(folder.name, pattern):
                shutil.copytree(folder, self.workspace, dirs_exist_ok=True)


def _written(env: Keys, names: Names) -> dict[str, str]:
    return {name: inserted(str(value), names) for name, value in env.items()}
