"""A Milvus collection over the keys of a bank: one that many machines share, or one embedded in the bank's folder."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .errors import AudioBertInputError
from .exact_search import SEARCH_EXACTLY


__all__ = ["MilvusIndex"]

_FOLDER = "milvus.db"
_SERVED = {"index_type": "HNSW", "M": 16, "efConstruction": 100}
# The embedded Milvus (milvus-lite 3.2) walks over all its rows in Python for every search, so that a graph, which it
# takes minutes to build, would save next to nothing.
_EMBEDDED = {"index_type": "FLAT"}
_SENT_AT_ONCE = 2000
_ASKED_AT_ONCE = 256
_CONNECTION_SECONDS = 10
_ANSWER_SECONDS = 300
# pymilvus 3.0 asks every 10 s whether the server is still there, for which servers with gRPC's own settings, the
# embedded one among them, hang up on it.
_CONNECTION_OPTIONS = {"grpc.keepalive_time_ms": 600_000}
# These print every error on the terminal, beside raising it; the embedded Milvus also what it does not offer.
_LOGGERS = (
    "pymilvus.decorators",
    "pymilvus.client.grpc_handler",
    "pymilvus.client.connection_manager",
    "grpc._server",
    "milvus_lite.server_manager",
)

# What Milvus returns at most for one query, and the greatest ef it takes.
_MOST_RESULTS = 16384
_MOST_EFFORT = 32768
_WAYS_OUT = f'Make the index with "audiobert bank index BANK --kind milvus", or {SEARCH_EXACTLY}.'
_ADVICE = {
    False: "Check the address, that the server runs, and the token in the environment variable MILVUS_TOKEN; or "
    f"{SEARCH_EXACTLY}.",
    True: "It serves one process at a time, which may write to its folder: close the other, give a server's address "
    f"with --uri, or {SEARCH_EXACTLY}.",
}


class MilvusIndex:
    """Finds candidates with Milvus, by inner product.

    A collection is named by the digest of the keys in it, so that machines with the same bank share one, and none
    ever searches another bank's. A server's token is taken from the environment variable `MILVUS_TOKEN`.

    Args:
        uri (`str`, *optional*): of a Milvus server, such as `http://localhost:19530`. Left out: embedded.
        key_digest (`str`): of the bank.
        folder (`Path`, *optional*): where an embedded collection lies.
    """

    kind = "milvus"

    def __init__(self, uri: str | None, key_digest: str, folder: Path | None = None):
        self.uri = uri
        self.collection = f"audiobert_{key_digest[:32]}"
        self.parameters = dict(_SERVED if uri else _EMBEDDED)
        self._folder = folder
        self._temporary = None
        self._connection = None
        self.library = f"pymilvus {_pymilvus().__version__}"

    @classmethod
    def build(cls, keys: torch.Tensor, key_digest: str, uri: str | None = None) -> "MilvusIndex":
        """Send keys to Milvus, unless they are there already.

        Args:
            keys (`torch.FloatTensor` of shape `(num_clips, key_dim)`): of norm 1.
            key_digest (`str`): of these keys.
            uri (`str`, *optional*): of a server. Left out: embedded, in a temporary folder until it is saved.

        Raises:
            AudioBertInputError: a package is missing, or the server cannot be reached or refuses.
        """
        if uri is not None:
            _check_uri(uri)
        index = cls(uri, key_digest)
        if uri is None:
            index._temporary = tempfile.TemporaryDirectory(prefix="audiobert-milvus-", ignore_cleanup_errors=True)
            index._folder = Path(index._temporary.name) / _FOLDER
        with index._errors():
            client = index._connect()
            if index._stored_keys(client) != len(keys):
                # Sent by halves, by somebody who was interrupted.
                client.drop_collection(index.collection, timeout=_ANSWER_SECONDS)
                index._send(client, keys)
            client.load_collection(index.collection, timeout=_ANSWER_SECONDS)
        return index

    def efforts(self, count: int) -> list[int]:
        """Return what `effort` may be for `count` candidates, from quick to thorough.

        It is `ef` of the HNSW of a server; the embedded Milvus compares all keys, whatever it is.
        """
        if self.uri is None:
            return [count]
        return [count * 2**power for power in range(10) if count * 2**power <= max(count, 4096)]

    def candidates(self, queries: torch.Tensor, count: int, effort: int) -> torch.LongTensor:
        """Return positions of keys that may be nearest, of shape `(num_queries, count)`, -1 for none.

        Raises:
            AudioBertInputError: Milvus does not answer.
        """
        count = min(count, _MOST_RESULTS)
        search = {"metric_type": "IP", "params": {"ef": min(max(effort, count), _MOST_EFFORT)}}
        answers = []
        with self._errors():
            for part in queries.split(_ASKED_AT_ONCE):
                try:
                    answers += self._search(part, count, search)
                except _milvus_errors():
                    # Whoever else had the embedded collection open has closed it, or the server was started anew.
                    self.close()
                    answers += self._search(part, count, search)
        found = torch.full((len(queries), count), -1, dtype=torch.long)
        for row, hits in enumerate(answers):
            ids = [hit["id"] for hit in hits]
            found[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        """Copy an embedded collection into `folder`; return what `load` needs to know.

        Raises:
            AudioBertInputError: it cannot be read.
        """
        if self.uri is None:
            self.close()
            shutil.copytree(self._folder, folder / _FOLDER)
        return {"uri": self.uri}

    @classmethod
    def load(cls, facts: dict[str, Any], find_file) -> "MilvusIndex":
        """Connect to the collection that `build` made.

        Args:
            facts (`dict`): `key_digest`, `num_clips` and what `save` returned.
            find_file (`Callable[[str], str]`): where a file of the index's folder lies on this machine.

        Raises:
            AudioBertInputError: a package is missing, the server cannot be reached or refuses, it has no such
                collection, or the embedded one is not there.
        """
        folder = None if facts["uri"] else Path(find_file("index.json")).parent / _FOLDER
        if folder is not None and not folder.is_dir():
            raise AudioBertInputError(
                "the audio bank's index is an embedded Milvus collection, which a Hub repository does not hold. "
                f"{_WAYS_OUT}"
            )
        index = cls(facts["uri"], facts["key_digest"], folder)
        with index._errors():
            client = index._connect()
            stored = index._stored_keys(client)
            if stored != facts["num_clips"]:
                raise AudioBertInputError(
                    f"{index} holds {stored} keys of this audio bank, which has {facts['num_clips']} clips. "
                    f"{_WAYS_OUT}"
                )
            client.load_collection(index.collection, timeout=_ANSWER_SECONDS)
        return index

    @property
    def num_bytes(self) -> int | None:
        """The size of an embedded collection on the disk; None for a server's."""
        if self._folder is None:
            return None
        return sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())

    def close(self) -> None:
        """Let go of the server or of the embedded collection; the next search opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._folder is not None:
            _embedded_servers().release_server(str(self._folder))

    def __str__(self) -> str:
        return f"Milvus at '{self.uri}'" if self.uri else "the embedded Milvus"

    def _connect(self):
        """Return a client, the same until it is closed."""
        if self._connection is None:
            if self._folder is not None:
                _embedded_servers()
            self._connection = _pymilvus().MilvusClient(
                uri=self.uri or str(self._folder),
                token=os.environ.get("MILVUS_TOKEN", "") if self.uri else "",
                timeout=_CONNECTION_SECONDS,
                grpc_options=_CONNECTION_OPTIONS,
            )
        return self._connection

    def _search(self, queries: torch.Tensor, count: int, search: dict[str, Any]):
        newly_opened = self._connection is None
        client = self._connect()
        if newly_opened:
            client.load_collection(self.collection, timeout=_ANSWER_SECONDS)
        return client.search(
            self.collection,
            data=queries.tolist(),
            limit=count,
            search_params=search,
            output_fields=["id"],
            timeout=_ANSWER_SECONDS,
        )

    def _stored_keys(self, client) -> int:
        if not client.has_collection(self.collection, timeout=_ANSWER_SECONDS):
            return 0
        return int(client.get_collection_stats(self.collection, timeout=_ANSWER_SECONDS)["row_count"])

    def _send(self, client, keys: torch.Tensor) -> None:
        data_type = _pymilvus().DataType
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", data_type.INT64, is_primary=True)
        schema.add_field("key", data_type.FLOAT_VECTOR, dim=keys.shape[1])
        client.create_collection(self.collection, schema=schema, timeout=_ANSWER_SECONDS)
        table = keys.cpu().numpy()
        with tqdm(total=len(table), desc="indexing clips (milvus)", unit="clip", disable=None) as bar:
            for start in range(0, len(table), _SENT_AT_ONCE):
                part = table[start : start + _SENT_AT_ONCE]
                rows = [{"id": start + offset, "key": key} for offset, key in enumerate(part)]
                client.insert(self.collection, rows, timeout=_ANSWER_SECONDS)
                bar.update(len(part))
        client.flush(self.collection)
        index = client.prepare_index_params()
        build = {name: value for name, value in self.parameters.items() if name != "index_type"}
        index.add_index("key", index_type=self.parameters["index_type"], metric_type="IP", params=build)
        client.create_index(self.collection, index)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what Milvus refuses into one error that names it, and into no other line on the terminal."""
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [logger.disabled for logger in loggers]
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        except _milvus_errors() as error:
            reason = getattr(error, "message", None) or getattr(error, "details", lambda: None)() or str(error)
            raise AudioBertInputError(
                f"{self} cannot be used ({' '.join(str(reason).split())}). {_ADVICE[self.uri is None]}"
            ) from error
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled


def _check_uri(uri: str) -> None:
    if "://" not in uri:
        raise AudioBertInputError(
            f"'{uri}' is no address of a Milvus server, such as http://localhost:19530. Leave it out to embed the "
            f"collection in the bank's folder."
        )
    if "@" in uri:
        raise AudioBertInputError(
            "the address of the Milvus server holds a name or password, which would be saved in the bank: put "
            '"name:password" or the token into the environment variable MILVUS_TOKEN.'
        )


def _milvus_errors() -> tuple[type[Exception], ...]:
    try:
        import grpc
    except ImportError as error:
        raise AudioBertInputError(_missing("grpcio", error)) from error
    return (_pymilvus().MilvusException, grpc.RpcError, grpc.FutureTimeoutError)


def _pymilvus():
    try:
        import pymilvus
    except ImportError as error:
        raise AudioBertInputError(_missing("pymilvus", error)) from error
    return pymilvus


def _embedded_servers():
    """Return what keeps the embedded collections of this process open."""
    try:
        from milvus_lite.server_manager import server_manager_instance
    except ImportError as error:
        raise AudioBertInputError(_missing("milvus-lite", error)) from error
    return server_manager_instance


def _missing(package: str, error: ImportError) -> str:
    return (
        f"the audio bank's index of kind 'milvus' needs {package}, which cannot be imported "
        f'({str(error).splitlines()[-1]}): pip install "audiobert[milvus]", or {SEARCH_EXACTLY}.'
    )
