"""A forge on this machine with one repository: as much of Gitea's API as Renovate uses to open a pull request."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.rendering import git

TIME = "2026-01-01T00:00:00Z"
USER = {"id": 1, "login": "renovate", "full_name": "Renovate", "email": "renovate@example.com"}


@dataclass
class Forge:
    """What Renovate has told the forge.

    Attributes:
        repository: the bare repository that it pushes to.
        pulls: the pull requests that it has opened.
        statuses: of commits, such as "failure" for an artifact that it could not update.
        comments: on the pull requests.
    """

    repository: Path
    url: str = ""
    pulls: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: dict[str, Any]) -> object:
        """The answer to a request; None if nothing is there."""
        match method, path.removeprefix("/api/v1/").split("/"):
            case "GET", ["user"]:
                return USER
            case "GET", ["version"]:
                return {"version": "1.22.0"}
            case "GET", ["repos", _, _]:
                return self._repository()
            case "GET", ["repos", _, _, "pulls"]:
                return self.pulls
            case "POST", ["repos", _, _, "pulls"]:
                return self._opened(body)
            case _, ["repos", _, _, "pulls", number] if number.isdigit():
                self.pulls[int(number) - 1] |= {key: value for key, value in body.items() if key in ("title", "body")}
                return self.pulls[int(number) - 1]
            case "POST", ["repos", _, _, "statuses", _]:
                self.statuses.append({"id": len(self.statuses), "status": body["state"], "created_at": TIME, **body})
                return self.statuses[-1]
            case "GET", [*_, "statuses"]:
                return self.statuses
            case "POST", [*_, "comments"]:
                self.comments.append(body["body"])
                return {"id": len(self.comments), "body": body["body"]}
            case "GET", [*_, "comments" | "labels" | "issues"]:
                return []
        return None

    def _repository(self) -> dict[str, Any]:
        return {
            "id": 1,
            "full_name": "owner/service",
            "clone_url": f"{self.url}/owner/service.git",
            "default_branch": "main",
            "owner": USER,
            "permissions": {"admin": True, "pull": True, "push": True},
            "has_pull_requests": True,
            "allow_merge_commits": True,
        }

    def _opened(self, body: dict[str, Any]) -> dict[str, Any]:
        branch = body["head"]
        commit = git(self.repository, "rev-parse", branch).strip()
        pull = {
            "number": len(self.pulls) + 1,
            "state": "open",
            "mergeable": True,
            "created_at": TIME,
            "updated_at": TIME,
            "user": USER,
            "labels": [],
            **{key: body[key] for key in ("title", "body")},
            "base": {"ref": body["base"]},
            "head": {"label": branch, "sha": commit, "repo": {"full_name": "owner/service"}},
        }
        self.pulls.append(pull)
        return pull


@contextmanager
def forge(repository: Path) -> Iterator[Forge]:
    """A forge that answers, as long as the block lasts."""
    it = Forge(repository)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = it.answer(self.command, self.path.partition("?")[0], json.loads(content or "{}"))
            text = json.dumps({} if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - BaseHTTPRequestHandler's names

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield it
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
