"""A Hugging Face hub on loopback: the part of its file API that a download asks for.

As huggingface_hub 2.4 does it: `/api/models/ID/revision/REVISION` for the commit, `/api/models/ID/tree/COMMIT` for the
list of files, then HEAD and GET of `/ID/resolve/COMMIT/FILE`. The client reads HF_ENDPOINT when it is imported, so it
runs in a process of its own, with the variables of `HubServer.environment()`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sparkclin.spark.storage import sha256_of
from testkit.cluster import HOST

INFO = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
TREE = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
RANGE = re.compile(r"bytes=(?P<begin>\d+)-")
DEFAULT_BRANCH = "main"


@dataclass(frozen=True, kw_only=True)
class FileRequest:
    """A GET of a file: `range` is its Range header, None where the whole file was asked for."""

    hub_id: str
    commit: str
    file: str
    range: str | None


@dataclass
class Repository:
    """`folders` by commit, and the commits by branch or tag."""

    folders: dict[str, Path] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)

    def commit_of(self, revision: str) -> str | None:
        return revision if revision in self.folders else self.revisions.get(revision)


class HubServer:
    """The repositories that were published, and what was asked for. A GET of a file whose name is in `refused` is
    answered with an error of the server."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[FileRequest] = []
        self.repositories: dict[str, Repository] = {}
        self.refused: set[str] = set()
        self._to_break: set[str] = set()
        self._lock = threading.Lock()

    def publish(self, hub_id: str, folder: Path, *, revision: str = DEFAULT_BRANCH) -> str:
        """Serves the folder as what the branch or tag is at from now on, and returns its commit."""
        hashes = {file: sha256_of(folder / file) for file in files_of(folder)}
        commit = hashlib.sha1(json.dumps(hashes).encode()).hexdigest()  # 40 digits, as a commit of git has
        repository = self.repositories.setdefault(hub_id, Repository())
        repository.folders[commit] = folder
        repository.revisions[revision] = commit
        return commit

    def commit_of(self, hub_id: str, revision: str = DEFAULT_BRANCH) -> str:
        """Raises KeyError for what was not published."""
        return self.repositories[hub_id].revisions[revision]

    def break_once(self, file: str) -> None:
        """The next GET of a file of this name ends in the middle: the connection is closed."""
        self._to_break.add(file)

    def fetched(self) -> list[str]:
        """The names of the files that a GET asked for, in alphabetical order."""
        return sorted(request.file for request in self.requests)

    def environment(self, home: Path) -> dict[str, str]:
        """The variables of a process that takes this server for the hub, and `home` for its cache."""
        others = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        return {
            **inherited,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }

    def record(self, request: FileRequest) -> bool:
        """Whether its answer shall break."""
        with self._lock:
            self.requests.append(request)
            breaks = request.file in self._to_break
            self._to_break.discard(request.file)
            return breaks


def files_of(folder: Path) -> list[str]:
    """The paths of all files, relative to the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class HubError(Exception):
    """An answer that is an error, in the words of the hub, which the client tells apart by its headers."""

    def __init__(self, status: HTTPStatus, *, code: str | None, message: str) -> None:
        self.status = status
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        super().__init__(message)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def __init__(self, hub: HubServer, *arguments: Any) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        try:
            if match := TREE.fullmatch(path):
                self.send_tree(*self.folder_of(match))
            elif match := INFO.fullmatch(path):
                commit, folder = self.folder_of(match)
                siblings = [{"rfilename": file} for file in files_of(folder)]
                self.send_json({"id": match["id"], "sha": commit, "siblings": siblings})
            elif match := FILE.fullmatch(path):
                self.send_file(match["id"], *self.folder_of(match), unquote(match["file"]))
            else:
                raise HubError(HTTPStatus.NOT_FOUND, code=None, message="Sorry, we can't find the page")
        except HubError as error:
            self.send_json({"error": str(error)}, status=error.status, headers=error.headers)

    def folder_of(self, match: re.Match[str]) -> tuple[str, Path]:
        """The commit that was asked for, and its folder."""
        repository = self.hub.repositories.get(match["id"])
        if repository is None:
            raise HubError(HTTPStatus.NOT_FOUND, code="RepoNotFound", message="Repository not found")
        revision = unquote(match["revision"] or DEFAULT_BRANCH)
        commit = repository.commit_of(revision)
        if commit is None:
            raise HubError(HTTPStatus.NOT_FOUND, code="RevisionNotFound", message=f"Invalid rev id: {revision}")
        return commit, repository.folders[commit]

    def send_tree(self, commit: str, folder: Path) -> None:
        files = files_of(folder)
        entries = [
            {"type": "file", "path": file, "size": (folder / file).stat().st_size, "oid": sha256_of(folder / file)[:40]}
            for file in files
        ]
        self.send_json(entries, headers={"X-Repo-Commit": commit})

    def send_file(self, hub_id: str, commit: str, folder: Path, file: str) -> None:
        """All of it, or what is behind the beginning of a range; half of that where it shall break."""
        path = folder / file
        if file not in files_of(folder):
            raise HubError(HTTPStatus.NOT_FOUND, code="EntryNotFound", message="Entry not found")
        if self.command == "GET" and file in self.hub.refused:
            raise HubError(HTTPStatus.INTERNAL_SERVER_ERROR, code=None, message="Internal error")
        breaks = False
        if self.command == "GET":
            wanted = self.headers.get("Range")
            breaks = self.hub.record(FileRequest(hub_id=hub_id, commit=commit, file=file, range=wanted))
        size = path.stat().st_size
        asked = RANGE.fullmatch(self.headers.get("Range") or "")
        begin = int(asked["begin"]) if asked else 0
        self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        for name, value in {
            "ETag": f'"{sha256_of(path)}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size - begin),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        content = path.read_bytes()[begin:]
        self.wfile.write(content[: len(content) // 2] if breaks else content)
        self.close_connection = self.close_connection or breaks

    def send_json(
        self, value: Any, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
    ) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: what was asked for is in `HubServer.requests`."""


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """An empty hub, ended on leaving."""
    hub = HubServer()
    server = ThreadingHTTPServer((HOST, 0), partial(Handler, hub))  # port 0: the system picks a free one
    hub.url = f"http://{HOST}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
