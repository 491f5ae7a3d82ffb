"""`audiobert bank index`, and searching a bank that has an index, as a user meets them."""

import json
import sys

import pyarrow as pa
import pytest
import torch
from tiny_bank import clip_table
from transformers import AutoFeatureExtractor, ClapModel
from typer.testing import CliRunner

from audiobert import AudioBank
from audiobert.cli import app
from audiobert.modeling_audiobert.fingerprint import clap_fingerprint


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def reason_of(result) -> str:
    """The one line that a refused command prints."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("audiobert: ")]
    return line


@pytest.fixture
def bank(parts, tmp_path):
    """A bank of 1,200 random keys that the tiny CLAP may search."""
    clap = ClapModel.from_pretrained(parts.clap)
    fingerprint = clap_fingerprint(clap, AutoFeatureExtractor.from_pretrained(parts.clap))
    keys = torch.randn(1200, clap.config.projection_dim, generator=torch.Generator().manual_seed(1))
    AudioBank(clip_table(1200), keys, torch.ones(1200, 2), fingerprint, "encoder").save(tmp_path / "bank")
    return tmp_path / "bank"


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq", "milvus"])
def test_a_bank_is_indexed_and_then_found_in_as_before(bank, parts, kind):
    search = ["bank", "search", bank, "a sound", "--clap", parts.clap, "--top-k", 3]
    before = run(*search)
    assert before.exit_code == 0, before.output
    result = run("bank", "index", bank, "--kind", kind, "--recall", "0.97", "--clap", parts.clap, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["clips"], report["kind"], report["recall"], report["queries"]) == (1200, kind, 0.97, "given")
    assert report["measured_recall"] >= 0.97
    assert report["index_bytes"] > 1000
    assert AudioBank.load(bank).index_kind == kind
    assert run(*search).stdout == before.stdout
    assert run(*search, "--exact").stdout == before.stdout
    plain = run("bank", "index", bank, "--kind", kind)
    assert plain.exit_code == 0, plain.stderr
    assert f"1200 clips, index of kind {kind}" in plain.stdout
    assert "of 512 queries (keys without themselves, keys turned away)" in plain.stdout


def test_a_small_bank_needs_no_index_and_one_can_be_taken_away(bank):
    assert run("bank", "index", bank, "--kind", "hnsw").exit_code == 0
    result = run("bank", "index", bank)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{bank}: 1200 clips, searched exactly, without an index\n"
    assert AudioBank.load(bank).index is None
    assert json.loads(run("bank", "index", bank, "--json").stdout) == {"clips": 1200, "kind": "exact"}


def test_what_cannot_be_indexed_or_searched_is_one_line(bank, parts, tmp_path, monkeypatch):
    assert "there is no folder" in reason_of(run("bank", "index", tmp_path / "nowhere"))
    assert "'annoy' is no kind of index" in reason_of(run("bank", "index", bank, "--kind", "annoy"))
    unreachable = reason_of(run("bank", "index", bank, "--kind", "milvus", "--uri", "http://127.0.0.1:1"))
    assert "Milvus at 'http://127.0.0.1:1' cannot be used" in unreachable
    assert AudioBank.load(bank).index is None
    assert run("bank", "index", bank, "--kind", "hnsw").exit_code == 0
    monkeypatch.setitem(sys.modules, "faiss", None)
    search = ["bank", "search", bank, "a sound", "--clap", parts.clap]
    assert 'pip install "audiobert[faiss]"' in reason_of(run(*search))
    assert run(*search, "--exact").exit_code == 0


def test_captions_to_measure_by_are_needed_only_with_clap(bank, parts):
    loaded = AudioBank.load(bank)
    nothing = pa.nulls(len(loaded), pa.string())
    clips = loaded.clips
    for name in ("caption", "label"):
        clips = clips.set_column(clips.column_names.index(name), clips.schema.field(name), nothing)
    AudioBank(clips, loaded.keys, loaded.values, loaded.key_fingerprint, "encoder").save(bank)
    line = reason_of(run("bank", "index", bank, "--kind", "hnsw", "--clap", parts.clap))
    assert "no two captions or labels" in line
    assert run("bank", "index", bank, "--kind", "hnsw").exit_code == 0


def test_help_shows_an_example():
    result = run("bank", "index", "--help")
    assert result.exit_code == 0
    assert "Example: audiobert bank index" in result.stdout
