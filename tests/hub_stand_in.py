"""A stand-in for the Hugging Face hub: enough of its protocol for repositories to be made, written and read."""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_of_the_tests"


class Hub(ThreadingHTTPServer):
    """Repositories by name; each a list of commits, the files of each by path. A branch is a repository NAME@BRANCH."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, name: str) -> dict[str, bytes]:
        return self.commits[name][-1]


@contextlib.contextmanager
def hub() -> Iterator[Hub]:
    """A running stand-in."""
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self._asked()
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            if found := self._found(match[1], match[2]):
                sha, files = found
                siblings = [{"rfilename": name} for name in files]
                self._answer({"id": match[1], "sha": sha, "siblings": siblings, "private": False, "tags": []})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            if found := self._found(match[1], match[2]):
                self._answer([_entry(name, content) for name, content in found[1].items()])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if found := self._found(match[1], match[2]):
                sha, files = found
                self._send(200, files[match[3]], {"X-Repo-Commit": sha, "ETag": f'"{_sum(files[match[3]])}"'})
        else:
            self._answer({"error": f"unknown: {path}"}, 404)

    def do_POST(self) -> None:
        path = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer({"error": "Invalid username or password."}, 401)
        elif path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            is_new = name not in self.server.commits
            self.server.commits.setdefault(name, [{}])
            if is_new and (wanted.get("private") or wanted.get("visibility") == "private"):
                self.server.private.add(name)
            self._answer({"url": f"{self.server.endpoint}/{name}", "id": name}, 200 if is_new else 409)
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif match := re.fullmatch(r"/api/models/(.+)/branch/(.+)", path):
            self.server.commits.setdefault(f"{match[1]}@{match[2]}", [self.server.files(match[1])])
            self._answer({})
        elif match := re.fullmatch(r"/api/models/(.+)/preupload/.+", path):
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self._answer({"files": modes})
        elif match := re.fullmatch(r"/api/models/(.+)/commit/(.+)", path):
            self._commit(
                match[1] if match[2] == "main" else f"{match[1]}@{match[2]}",
                [json.loads(line) for line in body.splitlines()],
            )
        else:
            self._answer({"error": f"unknown: {path}"}, 404)

    def _commit(self, name: str, lines: list[dict]) -> None:
        files = dict(self.server.files(name))
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            elif line["key"] == "deletedFolder":
                files = {path: file for path, file in files.items() if not fnmatch.fnmatch(path, value["path"] + "*")}
        self.server.commits[name].append(files)
        sha = _sha(len(self.server.commits[name]) - 1, name)
        address = f"{self.server.endpoint}/{name}/commit/{sha}"
        self._answer({"success": True, "commitOid": sha, "commitUrl": address})

    def _found(self, name: str, revision: str | None) -> tuple[str, dict[str, bytes]] | None:
        commits = self.server.commits.get(name)
        if commits is None:
            self._answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return None
        found: dict[str, tuple[str, dict[str, bytes]]] = {}  # by commit, and by branch
        for key in (key for key in self.server.commits if key == name or key.startswith(f"{name}@")):
            of_key = [(_sha(number, key), files) for number, files in enumerate(self.server.commits[key])]
            found |= {sha: (sha, files) for sha, files in of_key} | {key.partition("@")[2] or "main": of_key[-1]}
        if (revision or "main") not in found:
            self._answer({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
            return None
        return found[revision or "main"]

    def _asked(self) -> str:
        self.server.asked.append(f"{self.command} {self.path}")
        return self.path.split("?")[0]

    def _answer(self, content: object, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(code, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


def _entry(name: str, content: bytes) -> dict:
    return {"type": "file", "path": name, "oid": _sum(content), "size": len(content)}


def _sum(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _sha(number: int, key: str = "") -> str:
    """Commit of a number: 40 hexadecimal digits, which begin with a hash of the branch, and with 0 on the main one."""
    branch = key.partition("@")[2]
    return f"{hashlib.sha1(branch.encode()).hexdigest()[:8] if branch else ''}{number:x}".rjust(40, "0")
