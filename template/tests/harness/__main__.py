"""The harness's commands: `uv run python -m tests.harness --help`."""

import argparse
import json
import sys

from .commands import deployed_release, in_pytest

REVISION = """\
Write a migration for what the models have and the migrations lack. Nothing has to run: the harness starts its own
server, runs the migrations there and compares. Review the file: a renamed column is written as a new one.
"""
REBASE = """\
Two branches have each added a migration: there are two heads. Let the migrations of this branch follow the other head,
by changing down_revision of the first of them.
"""
COMPATIBLE = """\
Run the tests of the release before this branch on the schema of this branch, and show which of its requests fail: while
a release is deployed, the migrations have run, and the release before it still answers requests. Arguments after -- are
for pytest. The release is the commit where this branch began.
"""
DOCTOR = """\
Show what a run uses: the version of the harness and newer ones, the libraries, the server, the settings and the guards;
and what is missing. Nothing is changed. Only the repository of the template is asked for its versions.
"""


def main() -> None:
    """Run the command of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness", description=__doc__.partition(":")[0])
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")

    revision = commands.add_parser("revision", help="write a migration by comparing the models", description=REVISION)
    revision.add_argument("message", help='what the migration does: "add nickname"')
    revision.add_argument("--empty", action="store_true", help="without operations, for you to write")
    revision.add_argument("--rev-id", metavar="ID", help="the ID of the revision; by default, a random one")

    rebase = commands.add_parser("rebase", help="resolve two heads", description=REBASE)
    rebase.add_argument("head", nargs="?", help="the head to move; by default, the one that this branch has added")
    rebase.add_argument(
        "--since", metavar="COMMIT", help="the branch to follow (default: origin's default branch, or main)"
    )

    compatible = commands.add_parser(
        "compatible", help="run the deployed release's tests on this branch's schema", description=COMPATIBLE
    )
    compatible.add_argument("--since", metavar="COMMIT", help="as of rebase")
    compatible.add_argument("pytest", nargs="*", help="arguments of pytest, after --: compatible -- -n 2")

    commands.add_parser("doctor", help="show what a run uses, and what is missing", description=DOCTOR)

    arguments = vars(parser.parse_args())
    command, for_pytest = arguments.pop("command"), arguments.pop("pytest", [])
    output = in_pytest.run(command, **arguments)
    if command == "compatible":
        sys.exit(deployed_release.run(json.loads(output), for_pytest))
    print(output)


if __name__ == "__main__":
    main()
