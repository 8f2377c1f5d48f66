"""A small model hub on the loopback address: the hub's own routes, found through HF_ENDPOINT.

Model info by revision, the tree, and resolve with ETag, commit and size headers, ranges, 401, 404, 503 and a cut
connection. A repository is a folder; what is wrong with it is said by `Repository`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Reply = tuple[int, dict[str, str], bytes, int]  # the last: after how many bytes the connection is cut


@dataclass
class Repository:
    """One repository. `revisions`: name -> commit. `cuts`: bytes after which a large file's connection is cut, once a
    file. `rate`: bytes a second, 0 as fast as it goes."""

    folder: Path
    revisions: dict[str, str] = field(default_factory=lambda: {"main": "a" * 40})
    is_gated: bool = False
    is_down: bool = False
    cuts: int = 0
    rate: float = 0
    cut_files: set[str] = field(default_factory=set)


class Hub:
    """The server; `seen` are the requests so far. Use it as a context."""

    def __init__(self, repositories: dict[str, Repository]) -> None:
        self.repositories, self.seen = repositories, list[str]()
        self.created, self.uploaded = list[dict[str, Any]](), dict[str, bytes]()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(is_head=True)

            def do_GET(self) -> None:
                self._answer(is_head=False)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                hub.seen.append(f"POST {self.path}")
                found = hub.take(self.path, body, self.headers.get("Authorization", ""))
                answer = json.dumps(found if found is not None else {"error": "Unauthorized"}).encode()
                self.send_response(401 if found is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _answer(self, *, is_head: bool) -> None:
                wanted = self.headers.get("Range", "")
                hub.seen.append(f"{self.command} {self.path} {wanted}".strip())
                status, headers, body, cut = hub.reply(self.path, wanted, is_head=is_head)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if is_head:
                    return
                if cut and len(body) > cut:
                    self.wfile.write(body[:cut])
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.shutdown(2)
                    return
                rate = hub.rate(self.path)
                step = int(rate / 50) if rate else max(1, len(body))
                for start in range(0, len(body), step):
                    self.wfile.write(body[start : start + step])
                    time.sleep(0.02 if rate else 0)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def rate(self, path: str) -> float:
        """How fast a file is sent."""
        found = self.repositories.get("/".join(path.strip("/").split("/")[:2]))
        return found.rate if found else 0

    def take(self, path: str, body: bytes, token: str) -> Any:
        """What is answered to an upload, whose files go into `uploaded`; None to who is not logged in."""
        if token != "Bearer hf_right":
            return None
        if path.endswith("/repos/create"):
            self.created.append(json.loads(body))
            name = "{organization}/{name}".format(**self.created[-1])
            return {"url": f"{self.url}/datasets/{name}", "id": name}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            return {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.uploaded[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            place = path.removeprefix("/api/").partition("/commit/")[0]
            return {"commitUrl": f"{self.url}/{place}/commit/{'b' * 40}", "commitOid": "b" * 40, "pullRequestUrl": None}
        return {}

    def reply(self, path: str, wanted: str, *, is_head: bool) -> Reply:
        """Status, headers, body, and after how many bytes of it the connection is cut."""
        parts = path.partition("?")[0].strip("/").split("/")
        is_info = parts[:2] == ["api", "models"]
        parts = parts[2:] if is_info else parts
        found = self.repositories.get("/".join(parts[:2]))
        if found is None:
            return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b"", 0
        if found.is_down:
            return 503, {}, b"", 0
        verb, revision, rest = parts[2] if len(parts) > 2 else "", "main", parts[3:]
        if rest:
            revision, rest = rest[0].replace("%2F", "/"), rest[1:]
        commit = found.revisions.get(revision) or next((c for c in found.revisions.values() if c == revision), None)
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, b"", 0
        if is_info:
            return self._info(found, "/".join(parts[:2]), commit, is_tree=verb == "tree")
        return self._file(found, commit, "/".join(rest), wanted, is_head=is_head)

    def _info(self, found: Repository, name: str, commit: str, *, is_tree: bool) -> Reply:
        files = sorted(p for p in found.folder.rglob("*") if p.is_file())
        names = [str(p.relative_to(found.folder)) for p in files]
        body: Any = {"id": name, "modelId": name, "sha": commit, "gated": "auto" if found.is_gated else False}
        about = [{"size": p.stat().st_size, "blobId": _etag(p)} for p in files]
        body |= {"siblings": [{"rfilename": n} | more for n, more in zip(names, about, strict=True)]}
        body |= {"private": False, "tags": [], "downloads": 0}
        if is_tree:
            body = [
                {"type": "file", "path": n, "size": p.stat().st_size, "oid": _etag(p)}
                for n, p in zip(names, files, strict=True)
            ]
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode(), 0

    def _file(self, found: Repository, commit: str, name: str, wanted: str, *, is_head: bool) -> Reply:
        known = {"X-Repo-Commit": commit}
        if found.is_gated:
            return 403, {**known, "X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}, b"", 0
        file = found.folder / name
        if not file.is_file():
            return 404, {**known, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}, b"", 0
        data, etag = file.read_bytes(), _etag(file)
        headers = {**known, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        cut = found.cuts if name not in found.cut_files and not wanted and not is_head else 0
        if cut and len(data) > cut:
            found.cut_files.add(name)
        if wanted.startswith("bytes="):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return 206, headers, data[start:], 0
        return 200, headers, data, cut


def _etag(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
