"""The harness's commands: `uv run python -m tests.harness --help`."""

import argparse

from .commands import in_pytest

REVISION = """\
Write a migration for what the models have and the migrations lack. Nothing has to run: the harness starts its own
server, runs the migrations there and compares. Review the file: a renamed column is written as a new one.
"""
REBASE = """\
Two branches have each added a migration: there are two heads. Let the migrations of this branch follow the other head,
by changing down_revision of the first of them.
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

    arguments = vars(parser.parse_args())
    print(in_pytest.run(arguments.pop("command"), **arguments))


if __name__ == "__main__":
    main()
