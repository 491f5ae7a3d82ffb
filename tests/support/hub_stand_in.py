"""The part of the Hugging Face Hub's HTTP interface that uploading and loading one dataset or model needs."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from http_stand_in import Quiet


COMMIT = "c0ffee00" * 5


class HubState:
    """What the stand-in holds: its one repository, the dataset `me/bench` or the model `me/model`; who may write."""

    def __init__(self, token: str, kind: str = "datasets"):
        self.token = token
        self.kind = kind
        self.name = "me/bench" if kind == "datasets" else "me/model"
        self.page = f"/datasets/{self.name}" if kind == "datasets" else f"/{self.name}"
        self.repository: dict = {}
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}

    @classmethod
    def of(cls, folder: Path) -> "HubState":
        """A state that holds the files of a folder."""
        state = cls(token="hf_right")
        files = (file for file in folder.rglob("*") if file.is_file())
        state.files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
        return state

    def commit(self, operations: list[dict]) -> None:
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "lfsFile":
                self.files[value["path"]] = self.uploads[value["oid"]]
            elif operation["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "deletedFile":
                del self.files[value["path"]]

    def entries(self, names: list[str]) -> list[dict]:
        """Files and folders as the interface lists them; unknown names are left out."""
        listed = []
        for name in names:
            if name in self.files:
                digest = hashlib.sha256(self.files[name]).hexdigest()[:40]
                listed.append({"type": "file", "oid": digest, "path": name, "size": len(self.files[name])})
            elif any(file.startswith(f"{name}/") for file in self.files):
                listed.append({"type": "directory", "oid": "0" * 40, "path": name, "size": 0})
        return listed

    def inside(self, folder: str, recursive: bool) -> list[dict]:
        prefix = folder and f"{folder}/"
        rests = [name.removeprefix(prefix).split("/") for name in self.files if name.startswith(prefix)]
        depths = [range(1, len(rest) + 1) if recursive else (1,) for rest in rests]
        names = {prefix + "/".join(rest[:n]) for rest, deep in zip(rests, depths, strict=True) for n in deep}
        return self.entries(sorted(names))


def environment_with_hub(address: str, home: Path) -> dict[str, str]:
    """The environment of a process to which the stand-in is the Hub, and which shares no cache with the tests.

    What an earlier test left of the same `me/bench` would else be found there in place of what the stand-in serves.
    """
    settings = ("HUB_OFFLINE", "DATASETS_OFFLINE", "HUB_CACHE", "DATASETS_CACHE", "MODULES_CACHE")
    unwanted = {f"HF_{setting}" for setting in settings}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}


def hub_handler(state: HubState) -> type[Quiet]:  # noqa: C901 - a class of short methods, closed over the state
    """Return a request handler that serves and changes `state`."""

    class Hub(Quiet):
        @property
        def address(self) -> str:
            return f"http://{self.headers['Host']}"

        def do_POST(self):
            content, path = self.body(), unquote(urlsplit(self.path).path)
            readable = {r"/api/validate-yaml": self.validate, r".*/paths-info/.*": self.paths_info}
            writable = {
                r"/api/repos/create": self.create,
                r".*/preupload/.*": self.preupload,
                r".*/info/lfs/objects/batch": self.batch,
                r".*/commit/.*": self.commit,
            }
            may_write = self.headers.get("Authorization") == f"Bearer {state.token}"
            for pattern, respond in (readable | writable).items():
                if re.fullmatch(pattern, path):
                    if pattern in writable and not may_write:
                        self.answer_json({"error": "Invalid username or password."}, 401)
                    else:
                        self.answer_json(respond(content))
                    return
            self.answer_json({"error": f"the stand-in does not know POST {path}"}, 404)

        def do_PUT(self):
            state.uploads[self.path.rsplit("/", 1)[-1]] = self.body()
            self.answer(b"")

        def do_GET(self):
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            entry = f"/api/{state.kind}/{state.name}"
            if found := re.fullmatch(rf"{state.page}/resolve/[^/]+/(.+)", path):
                self.resolve(found[1])
            elif found := re.fullmatch(rf"{entry}/tree/[^/]+/?(.*)", path):
                self.answer_json(state.inside(found[1], "recursive=true" in parts.query.lower()))
            elif re.fullmatch(rf"{entry}(/revision/.+)?", path) and state.repository:
                siblings = [{"rfilename": name} for name in state.files]
                self.answer_json({"id": state.name, "sha": COMMIT, "private": False, "siblings": siblings, "tags": []})
            else:
                self.answer(b"", 404, X_Error_Code="RepoNotFound")

        do_HEAD = do_GET

        def resolve(self, name):
            content = state.files.get(name)
            if content is None:
                self.answer(b"", 404, X_Error_Code="EntryNotFound")
            else:
                digest = hashlib.sha256(content).hexdigest()
                self.answer_range(content, ETag=f'"{digest}"', X_Repo_Commit=COMMIT)

        def answer_range(self, content, **headers):
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if wanted is None:
                self.answer(content, **headers)
                return
            start, end = int(wanted[1]), int(wanted[2] or len(content) - 1) + 1
            self.answer(content[start:end], 206, Content_Range=f"bytes {start}-{end - 1}/{len(content)}", **headers)

        def validate(self, content):
            return {"errors": [], "warnings": []}

        def create(self, content):
            state.repository = json.loads(content)
            return {"url": f"{self.address}{state.page}", "id": state.name}

        def preupload(self, content):
            names = [file["path"] for file in json.loads(content)["files"]]
            modes = ["lfs" if name.endswith((".parquet", ".safetensors")) else "regular" for name in names]
            return {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": None}
                              for name, mode in zip(names, modes, strict=True)]}  # fmt: skip

        def batch(self, content):
            objects = json.loads(content)["objects"]
            actions = [{"upload": {"href": f"{self.address}/lfs/{item['oid']}"}} for item in objects]
            listed = [item | {"actions": action} for item, action in zip(objects, actions, strict=True)]
            return {"transfer": "basic", "objects": listed}

        def commit(self, content):
            state.commit([json.loads(line) for line in content.splitlines()])
            address = f"{self.address}{state.page}/commit/{COMMIT}"
            return {"success": True, "commitUrl": address, "commitOid": COMMIT}

        def paths_info(self, content):
            text = content.decode()
            names = json.loads(text)["paths"] if text.startswith("{") else parse_qs(text)["paths"]
            return state.entries(names)

    return Hub
