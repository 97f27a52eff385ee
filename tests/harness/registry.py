"""An image registry on loopback with one image, from `docker save`."""

import hashlib
import json
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class Registry:
    """Serves manifests and blobs by digest or tag, in the format of https://distribution.github.io/distribution/spec/api/.

    Attributes:
        is_asked: called before the first response.
    """

    def __init__(self, host: str, image: str, folder: Path) -> None:
        subprocess.run(["docker", "--host", host, "save", f"--output={folder / 'saved'}", image], check=True)
        with tarfile.open(folder / "saved") as saved:
            saved.extractall(folder, filter="data")
        [facts] = json.loads((folder / "manifest.json").read_text())
        self.blobs = {_digest(path): path for name in (facts["Config"], *facts["Layers"]) if (path := folder / name)}
        self.config, *layers = self.blobs
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._described(CONFIG, self.config),
            "layers": [self._described(LAYER, layer) for layer in layers],
        }
        self.manifest = json.dumps(manifest).encode()
        self.is_asked: Callable[[], None] = lambda: None

    def _described(self, kind: str, digest: str) -> dict[str, object]:
        return {"mediaType": kind, "digest": digest, "size": self.blobs[digest].stat().st_size}

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serves; yields the prefix of its image names."""
        with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self})) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.registry.is_asked()
        name = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            self._answer(MANIFEST, self.registry.manifest)
        elif name in self.registry.blobs:
            self._answer("application/octet-stream", self.registry.blobs[name].read_bytes())
        elif self.path == "/v2/":
            self._answer("application/json", b"{}")
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if "/manifests/" in self.path:
            self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
