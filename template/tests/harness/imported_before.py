"""What was imported before the harness, which itself imports the drivers."""

import sys

# By module: its file, if it has one.
IMPORTED_BEFORE: dict[str, str | None] = {
    name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())
}
# Without one, nothing has connected.
HAS_DRIVER = not IMPORTED_BEFORE.keys().isdisjoint({"asyncpg", "psycopg", "psycopg2", "pg8000"})
