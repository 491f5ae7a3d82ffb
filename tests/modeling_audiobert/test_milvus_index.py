"""Milvus: a server that several banks and machines use, and one embedded in a bank's folder for a single process."""

import base64
import json
import os
import subprocess
import sys
from concurrent import futures

import grpc
import pytest
import torch
from clustered_bank import clustered, clustered_bank, recall
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.db import MilvusLite
from pymilvus import MilvusClient
from pymilvus.grpc_gen import milvus_pb2_grpc

from audiobert import AudioBank, AudioBertInputError


QUERIES = clustered(40, seed=7)
TOKEN = "root:right"


class _TokenNeeded(grpc.ServerInterceptor):
    """Answers as a Milvus server does to whoever has another token."""

    def intercept_service(self, continuation, details):
        sent = dict(details.invocation_metadata).get("authorization", "")
        if not sent or base64.b64decode(sent).decode() != TOKEN:
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")
            )
        return continuation(details)


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Start a server that speaks Milvus' protocol on a free port; return its address."""
    running = []

    def start(*interceptors) -> str:
        database = MilvusLite(str(tmp_path_factory.mktemp("server") / "server.db"))
        server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=interceptors)
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        running.append((server, database))
        return f"http://127.0.0.1:{port}"

    yield start
    for server, database in running:
        server.stop(grace=0)
        database.close()


@pytest.fixture(scope="module")
def address(serve) -> str:
    return serve()


def test_machines_with_the_same_bank_share_a_collection_and_others_have_their_own(address, tmp_path):
    bank = clustered_bank(1200)
    facts = bank.build_index("milvus", uri=address)
    assert facts.measured_recall >= 0.95
    assert recall(bank, QUERIES) >= 0.95
    bank.save(tmp_path / "bank")
    assert sorted(file.name for file in (tmp_path / "bank" / "index").iterdir()) == ["index.json"]
    other_machine = AudioBank.load(tmp_path / "bank")
    assert torch.equal(other_machine.search(QUERIES, 10).clip_ids, bank.search(QUERIES, 10).clip_ids)
    clustered_bank(1200).build_index("milvus", uri=address)
    assert len(MilvusClient(address).list_collections()) == 1
    clustered_bank(1200, seed=5).build_index("milvus", uri=address)
    assert len(MilvusClient(address).list_collections()) == 2
    assert recall(other_machine, QUERIES) >= 0.95


def test_keys_that_were_sent_by_halves_are_sent_again(address):
    bank = clustered_bank(300, seed=8)
    bank.build_index("milvus", uri=address)
    client = MilvusClient(address)
    client.delete(bank.index.finder.collection, ids=list(range(150)))
    client.flush(bank.index.finder.collection)
    again = clustered_bank(300, seed=8)
    again.build_index("milvus", uri=address, recall=1.0)
    exact = clustered_bank(300, seed=8).search(QUERIES, 3)
    assert torch.equal(again.search(QUERIES, 3).clip_ids, exact.clip_ids)


def test_a_collection_that_is_gone_or_a_server_that_is_down_is_an_error_that_names_the_address(address, tmp_path):
    bank = clustered_bank(300, seed=9)
    bank.build_index("milvus", uri=address)
    bank.save(tmp_path)
    MilvusClient(address).drop_collection(bank.index.finder.collection)
    with pytest.raises(
        AudioBertInputError, match=rf"{address}' holds 0 keys .*300 clips.*bank index .*index=\"exact\""
    ):
        AudioBank.load(tmp_path)
    facts = json.loads((tmp_path / "index" / "index.json").read_text())
    facts["stored"]["uri"] = "http://127.0.0.1:1"
    (tmp_path / "index" / "index.json").write_text(json.dumps(facts))
    with pytest.raises(
        AudioBertInputError, match=r"Milvus at 'http://127.0.0.1:1' cannot be used .*Check the address"
    ):
        AudioBank.load(tmp_path)
    with pytest.raises(AudioBertInputError, match=r"Milvus at 'http://127.0.0.1:1' cannot be used"):
        bank.build_index("milvus", uri="http://127.0.0.1:1")


def test_a_wrong_token_is_an_error_and_the_right_one_is_saved_nowhere(serve, tmp_path, monkeypatch, caplog):
    address = serve(_TokenNeeded())
    bank = clustered_bank(300)
    for wrong in ("", "root:wrong"):
        monkeypatch.setenv("MILVUS_TOKEN", wrong)
        with pytest.raises(AudioBertInputError, match=rf"{address}' cannot be used .*MILVUS_TOKEN"):
            bank.build_index("milvus", uri=address)
    assert not [record for record in caplog.records if record.name.startswith("pymilvus")]
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    bank.build_index("milvus", uri=address)
    bank.save(tmp_path)
    assert AudioBank.load(tmp_path).search(QUERIES, 2).clip_ids.shape == (40, 2)
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) == 5
    assert not [content for content in written if b"right" in content]


def test_an_embedded_collection_serves_one_process_and_says_so_to_another(tmp_path):
    bank = clustered_bank(300)
    bank.build_index("milvus")
    bank.save(tmp_path)
    opened = AudioBank.load(tmp_path)
    script = """
import sys
from audiobert import AudioBank, AudioBertInputError
try:
    AudioBank.load(sys.argv[1])
except AudioBertInputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the embedded Milvus cannot be used" in done.stdout
    assert "It serves one process at a time" in done.stdout
    assert opened.search(QUERIES, 2).clip_ids.shape == (40, 2)


def test_banks_of_one_process_may_be_saved_over_an_embedded_collection_in_use(tmp_path):
    bank = clustered_bank(300)
    bank.build_index("milvus", recall=1.0)
    expected = clustered_bank(300).search(QUERIES, 3).clip_ids
    bank.save(tmp_path)
    first, second = AudioBank.load(tmp_path), AudioBank.load(tmp_path)
    second.save(tmp_path)
    for one in (first, second, bank):
        assert torch.equal(one.search(QUERIES, 3).clip_ids, expected)


def test_without_milvus_lite_only_a_server_can_be_used(address, monkeypatch):
    monkeypatch.setitem(sys.modules, "milvus_lite.server_manager", None)
    bank = clustered_bank(300)
    with pytest.raises(AudioBertInputError, match=r"needs milvus-lite.*audiobert\[milvus\]"):
        bank.build_index("milvus")
    bank.build_index("milvus", uri=address)
    assert not bank.search(QUERIES).exact
