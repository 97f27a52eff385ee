"""An entry of a setting that excepts something fails the check if there is nothing to except."""

from pathlib import Path

import pytest

from tests.environment import synced
from tests.harness.sample import Sample
from tests.rendering import Render

UNUSED = {
    "ignore_drift": ("trigger public.gone.*", "test_models_match_migrations"),
    "naive_datetime_columns": ("users.gone_at", "test_datetimes_are_timezone_aware"),
    "unindexed_foreign_keys": ("fk_gone", "test_foreign_keys_are_indexed"),
    "unpaginated_routes": ("/gone", "test_list_endpoints_are_paginated"),
    "public_routes": ("GET /gone", "test_every_route_requires_authentication"),
}


@pytest.fixture
def project(render: Render, environments: Path, default_python: Path, tmp_path: Path) -> Sample:
    """The sample with authentication, since a check belongs to that."""
    folder = render.copy(tmp_path / "rendered", project_name="Sample", package_name="sample")
    return Sample.of(synced(folder, environments / "all-environment", default_python), tmp_path / "sample")


def test_an_entry_that_matches_nothing_fails_its_check(project: Sample) -> None:
    path = project.folder / "pyproject.toml"
    text = path.read_text().replace("public_routes = [\n", f'public_routes = [\n  "{UNUSED["public_routes"][0]}",\n')
    others = "\n".join(f'{name} = ["{entry}"]' for name, (entry, _) in UNUSED.items() if name != "public_routes")
    path.write_text(text.replace("[tool.savepoint]\n", f"[tool.savepoint]\n{others}\n"))

    outcome = project.checks()

    for name, (entry, check) in UNUSED.items():
        said = f"pyproject.toml: [tool.savepoint]: {name}: {entry!r} matches nothing. Delete it.\n"
        assert outcome.output.count(said) == 1, outcome.output
        assert f"::{check}" in outcome.output
    assert "5 failed" in outcome.output, outcome.output
