"""Docker's and Kubernetes' APIs on loopback, as far as one container needs them: its program is a process of this
machine, with no environment but the container's.

They check a boundary: what is asked, and what is understood of the answers. Neither is a real server.
"""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from dagster_defs.adapters.processes.guardian import GUARDIAN

PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass
class Box:
    """A container, or the only container of a pod."""

    asked: dict[str, Any]
    words: list[str]
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    _written: list[bytes] = field(default_factory=list)
    _is_read: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.process = GUARDIAN.start(
            self.words,
            env={"PATH": PATH, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, output: IO[bytes]) -> None:
        self._written.extend(output)
        self._is_read.set()

    @property
    def code(self) -> int | None:
        """As a shell gives it; None while it runs."""
        code = None if self.process is None else self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self) -> int:
        assert self.process is not None
        self.process.wait()
        assert self.code is not None
        return self.code

    def lines(self) -> Iterator[bytes]:
        """From the first one on, each time that somebody asks, until the last one is written."""
        known = 0
        while not self._is_read.wait(0.05) or known < len(self._written):
            more = self._written[known:]
            yield from more
            known += len(more)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)


@dataclass
class Engine:
    """What the API has been asked. `boxes` are all there ever were, by id or name, and `left` those that still are."""

    url: str = ""
    boxes: dict[str, Box] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Images that have to be pulled first."""
    pulled: list[str] = field(default_factory=list)
    refuses_to_remove: bool = False
    refuses_to_start: bool = False
    drops: str = ""
    """The connection ends without an answer for a path that ends so."""

    def add(self, name: str, box: Box) -> None:
        self.boxes[name] = box
        self.left.add(name)

    def remove(self, name: str) -> None:
        self.boxes[name].stop()
        self.left.discard(name)

    @property
    def last(self) -> Box:
        return list(self.boxes.values())[-1]


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: ClassVar[Engine]

    def log_message(self, *_: Any) -> None:
        """Not into the tests' output."""

    def _refuse(self) -> None:
        """As a server's answer, which has more than its reader is to be shown."""
        self._answer({"message": "refused for token SECRET"}, 403)

    def _answer(self, document: Any, status: int = 200) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, chunks: Iterator[bytes], kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _asked(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else {}


class DockerApi(_Api):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+", "", url.path)
        if path == "/version":
            self._answer({"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "25.0.0"})
        elif path == "/containers/json":
            [label] = json.loads(parse_qs(url.query)["filters"][0])["label"]
            name, _, value = label.partition("=")
            found = [id_ for id_ in self.engine.left if self._labels(id_).get(name) == value]
            self._answer([{"Id": id_} for id_ in found])
        elif path.endswith("/logs"):
            frames = (struct.pack(">BxxxL", 1, len(line)) + line for line in self._box(path).lines())
            self._stream(frames, "application/vnd.docker.raw-stream")
        elif path.startswith("/images/"):
            self._answer({"Id": "sha256:0", "RepoTags": []})
        else:
            self._box(path)
            self._answer(
                {
                    "Id": (id_ := path.split("/")[2]),
                    "Config": {"Tty": False, "Labels": self._labels(id_)},
                    "Image": "sha256:0",
                }
            )

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        path, asked = re.sub(r"^/v[0-9.]+", "", url.path), self._asked()
        if path == "/containers/create":
            if asked["Image"] in self.engine.missing:
                return self._answer({"message": f"No such image: {asked['Image']}"}, 404)
            words = [*(asked.get("Entrypoint") or []), *(asked.get("Cmd") or [])]
            env = dict(each.split("=", 1) for each in asked["Env"])
            id_ = f"{len(self.engine.boxes):064x}"
            self.engine.add(id_, Box(asked, words, env))
            return self._answer({"Id": id_, "Warnings": []}, 201)
        if path == "/images/create":
            query = parse_qs(url.query)
            name = f"{query['fromImage'][0]}:{query['tag'][0]}"
            self.engine.pulled.append(name)
            self.engine.missing.discard(name)
            return self._answer({"status": "pulled"})
        box, verb = self._box(path), path.rpartition("/")[2]
        if self.engine.refuses_to_remove and verb == "stop":
            return self._refuse()
        if self.engine.drops and path.endswith(self.engine.drops):
            self.close_connection = True
            return None
        match verb:
            case "start":
                box.start()
                return self._answer(None, 204)
            case "wait":
                return self._answer({"StatusCode": box.wait()})
            case "stop":
                box.stop()
                return self._answer(None, 204)
        return self._answer({"message": f"unknown {path}"}, 501)

    def do_DELETE(self) -> None:
        if self.engine.refuses_to_remove:
            return self._refuse()
        self.engine.remove(urlsplit(self.path).path.split("/")[-1])
        return self._answer(None, 204)

    def _box(self, path: str) -> Box:
        return self.engine.boxes[path.split("/")[2]]

    def _labels(self, id_: str) -> dict[str, str]:
        return self.engine.boxes[id_].asked.get("Labels") or {}


class KubernetesApi(_Api):
    def do_POST(self) -> None:
        asked = self._asked()
        if self.engine.refuses_to_start:
            return self._refuse()
        [container] = asked["spec"]["containers"]
        words = [*container.get("command", []), *container.get("args", [])]
        env = {each["name"]: each["value"] for each in container["env"]}
        box = Box({**asked, "namespace": self.path.split("/")[4]}, words, env)
        self.engine.add(asked["metadata"]["name"], box)
        box.start()
        return self._answer(asked, 201)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query, parts = parse_qs(url.query), url.path.split("/")
        if parts[-1] == "log":
            lines = self.engine.boxes[parts[-2]].lines()
            stamped = (f"2024-03-02T00:00:00.{n:09d}Z ".encode() + line for n, line in enumerate(lines))
            self._stream(stamped, "text/plain")
        elif parts[-1] == "pods":
            names = [name for name in self.engine.left if self._is_selected(name, query)]
            self._answer(
                {"kind": "PodList", "apiVersion": "v1", "items": [self._pod(name) for name in names]}
            )
        elif parts[-1] not in self.engine.left:
            self._answer({"message": f"no pod {parts[-1]}"}, 404)
        else:
            self._answer(self._pod(parts[-1]))

    def do_DELETE(self) -> None:
        if self.engine.refuses_to_remove:
            return self._refuse()
        name = urlsplit(self.path).path.split("/")[-1]
        self.engine.remove(name)
        return self._answer(self._pod(name))

    def _is_selected(self, name: str, query: Mapping[str, list[str]]) -> bool:
        if "fieldSelector" in query:
            return query["fieldSelector"] == [f"metadata.name={name}"]
        label, _, value = query["labelSelector"][0].partition("=")
        return bool(self.engine.boxes[name].asked["metadata"]["labels"].get(label) == value)

    def _pod(self, name: str) -> dict[str, Any]:
        box = self.engine.boxes[name]
        code = box.code
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
        [container] = box.asked["spec"]["containers"]
        status = {
            "name": container["name"],
            "ready": code is None,
            "restartCount": 0,
            "image": "i",
            "imageID": "i",
        }
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": name, "labels": box.asked["metadata"]["labels"]},
            "spec": box.asked["spec"],
            "status": {"containerStatuses": [{**status, "state": state}]},
        }


@contextmanager
def serving(api: type[_Api]) -> Iterator[Engine]:
    engine = Engine()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Api", (api,), {"engine": engine}))
    server.daemon_threads = True
    engine.url = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield engine
    finally:
        for box in engine.boxes.values():
            box.stop()
        server.shutdown()
        server.server_close()


def kubeconfig(engine: Engine, file: Path) -> Path:
    """A kubeconfig whose only cluster is the engine."""
    file.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "own",
                "clusters": [{"name": "own", "cluster": {"server": f"http://{engine.url}"}}],
                "users": [{"name": "own", "user": {}}],
                "contexts": [
                    {"name": "own", "context": {"cluster": "own", "user": "own", "namespace": "etl"}}
                ],
            }
        )
    )
    return file
