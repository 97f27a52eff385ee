"""An entry of a setting with exceptions that matches nothing is a line of the summary."""

from pathlib import Path

import pytest

from tests.environment import synced
from tests.harness.sample import Sample
from tests.rendering import Render

UNUSED = {
    "ignore_drift": "trigger public.gone.*",
    "naive_datetime_columns": "users.gone_at",
    "unindexed_foreign_keys": "fk_gone",
    "unpaginated_routes": "/gone",
    "public_routes": "GET /gone",
}


@pytest.fixture
def project(render: Render, environments: Path, default_python: Path, tmp_path: Path) -> Sample:
    """The sample with authentication, since a check belongs to that."""
    folder = render.copy(tmp_path / "rendered", project_name="Sample", package_name="sample")
    return Sample.of(synced(folder, environments / "all-environment", default_python), tmp_path / "sample")


def test_an_entry_that_matches_nothing_is_listed(project: Sample) -> None:
    path = project.folder / "pyproject.toml"
    text = path.read_text().replace("public_routes = [\n", f'public_routes = [\n  "{UNUSED["public_routes"]}",\n')
    others = "\n".join(f'{name} = ["{entry}"]' for name, entry in UNUSED.items() if name != "public_routes")
    path.write_text(text.replace("[tool.savepoint]\n", f"[tool.savepoint]\n{others}\n"))

    outcome = project.checks()

    lines = [line for line in outcome.output.splitlines() if "matches nothing" in line]
    said = "pyproject.toml: [tool.savepoint]: {}: {!r} matches nothing. Delete it, unless another environment needs it."
    assert sorted(lines) == sorted(said.format(name, entry) for name, entry in UNUSED.items())
    assert " failed" not in outcome.output, outcome.output
