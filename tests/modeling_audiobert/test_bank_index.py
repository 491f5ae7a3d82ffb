"""Every kind of index: what it finds against brute force, saving and loading, and what is refused."""

import json
import shutil
import sys

import pytest
import torch
from clustered_bank import WIDTH, clustered, clustered_bank, cosines, recall
from tiny_bank import clip_table

from audiobert import AudioBank, AudioBertInputError
from audiobert.modeling_audiobert import bank_index
from audiobert.modeling_audiobert.bank_index import choose_kind


KINDS = ["hnsw", "ivfpq", "milvus"]
PACKAGES = {"hnsw": "faiss", "ivfpq": "faiss", "milvus": "pymilvus"}
QUERIES = clustered(60, seed=7)


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def bank(kind) -> AudioBank:
    bank = clustered_bank()
    bank.build_index(kind, recall=0.95)
    return bank


@pytest.fixture(scope="module")
def saved(bank, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "bank"
    bank.save(folder)
    return folder


@pytest.fixture
def copy_of(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "bank")


def test_an_index_finds_the_stated_share_and_tells_exact_similarities(bank, kind):
    facts = bank.index.facts
    assert (facts.kind, facts.num_clips, facts.recall) == (kind, 2000, 0.95)
    assert facts.measured_recall >= 0.95
    assert facts.num_queries == 512
    assert recall(bank, QUERIES) >= 0.95
    found = bank.search(QUERIES, 10)
    assert not found.exact
    expected = cosines(bank, QUERIES).gather(1, found.clip_ids)
    torch.testing.assert_close(found.similarities, expected.float(), atol=2e-7, rtol=0)
    assert (found.similarities.diff(dim=1) <= 0).all()


def test_what_both_searches_find_has_the_same_bits(bank):
    exact = AudioBank(bank.clips, bank.keys, bank.values, "clap", "encoder").search(QUERIES, 1)
    found = bank.search(QUERIES, 1)
    same = found.clip_ids == exact.clip_ids
    assert same.float().mean() >= 0.95
    assert torch.equal(found.similarities[same], exact.similarities[same])


def test_shuffling_the_bank_only_renames_the_clips(kind):
    bank, order = clustered_bank(1200), torch.randperm(1200, generator=torch.Generator().manual_seed(3))
    shuffled = AudioBank(bank.clips.take(order.numpy()), bank.keys[order], bank.values[order], "clap", "encoder")
    for one in (bank, shuffled):
        one.build_index(kind, recall=1.0, queries=QUERIES)
    assert torch.equal(order[shuffled.search(QUERIES, 10).clip_ids], bank.search(QUERIES, 10).clip_ids)


def test_of_equal_clips_the_earlier_come_first(kind):
    bank = clustered_bank(1200)
    keys = bank.keys.clone()
    keys[[30, 700, 900]] = keys[11].clone()
    bank = AudioBank(bank.clips, keys, bank.values, "clap", "encoder")
    bank.build_index(kind)
    found = bank.search(keys[11:12], 4)
    assert found.clip_ids.tolist() == [[11, 30, 700, 900]]
    assert len(set(found.similarities[0].tolist())) == 1


def test_more_clips_than_there_are_can_be_asked_for(bank):
    found = bank.search(QUERIES[:2], 2003)
    for ids, similarities in zip(found.clip_ids.tolist(), found.similarities.tolist(), strict=True):
        assert sorted(ids[:2000]) == list(range(2000))
        assert ids[2000:] == [-1] * 3
        assert similarities[2000:] == [-1.0] * 3


def test_below_the_least_similarity_nothing_is_found_but_the_miss_is_told(bank):
    found = bank.search(QUERIES[:5], 3, min_similarity=0.99999)
    assert found.clip_ids.tolist() == [[-1] * 3] * 5
    assert (found.similarities > 0).all()


def test_wrong_queries_are_refused_as_by_every_bank(bank):
    with pytest.raises(AudioBertInputError, match="not a finite number"):
        bank.search(QUERIES * torch.nan)
    with pytest.raises(AudioBertInputError, match=f"keys of width {WIDTH}"):
        bank.search(torch.ones(1, 3))
    assert bank.search(QUERIES[:0], 2).clip_ids.shape == (0, 2)


def test_a_saved_index_is_named_and_finds_the_same_when_loaded(bank, kind, saved):
    assert json.loads((saved / "bank.json").read_text())["index"] == kind
    facts = json.loads((saved / "index" / "index.json").read_text())
    assert facts["measured_recall"] == bank.index.facts.measured_recall
    loaded = AudioBank.load(saved)
    assert loaded.index_kind == kind
    assert f"index='{kind}'" in repr(loaded)
    for one, other in ((loaded, bank), (loaded.with_values(torch.ones(2000, 4), "other"), bank)):
        found, expected = one.search(QUERIES, 10), other.search(QUERIES, 10)
        assert torch.equal(found.clip_ids, expected.clip_ids)
        assert torch.equal(found.similarities, expected.similarities)
        assert not found.exact


def test_an_index_can_be_left_out_when_loading_and_when_saving(copy_of):
    exact = AudioBank.load(copy_of, index="exact")
    assert exact.search(QUERIES[:1]).exact
    exact.save(copy_of)
    assert not (copy_of / "index").exists()
    assert json.loads((copy_of / "bank.json").read_text())["index"] == "exact"
    assert AudioBank.load(copy_of).index is None
    with pytest.raises(AudioBertInputError, match="'saved' or 'exact'"):
        AudioBank.load(copy_of, index="hnsw")


def test_a_stale_index_is_an_error_and_not_a_search(copy_of, tmp_path):
    clustered_bank(seed=5).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "keys.safetensors", copy_of)
    with pytest.raises(AudioBertInputError, match=r"bank' was made from other keys .*bank index.*index=\"exact\""):
        AudioBank.load(copy_of)
    assert AudioBank.load(copy_of, index="exact").search(QUERIES[:1]).exact


def test_keys_that_were_changed_since_are_not_saved_with_the_index(copy_of, tmp_path):
    bank = AudioBank.load(copy_of)
    bank.keys = bank.keys.flip(0)
    with pytest.raises(AudioBertInputError, match=r"index .*was made from other keys .*build_index"):
        bank.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_missing_package_is_named_with_its_extra(kind, copy_of, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[kind], None)
    extra = "milvus" if kind == "milvus" else "faiss"
    message = rf"kind '{kind}' needs .*pip install \"audiobert\[{extra}\]\", or search exactly: index=\"exact\""
    with pytest.raises(AudioBertInputError, match=message):
        AudioBank.load(copy_of)
    exact = AudioBank.load(copy_of, index="exact")
    assert exact.search(QUERIES[:1]).exact
    with pytest.raises(AudioBertInputError, match=message):
        exact.build_index(kind)


@pytest.mark.parametrize("damage", ["cut", "gone", "{}", "[]", "words"])
def test_a_damaged_index_is_an_error_that_names_the_bank(kind, copy_of, damage):
    facts = copy_of / "index" / "index.json"
    if damage in ("cut", "gone") and kind == "milvus":
        shutil.rmtree(copy_of / "index" / "milvus.db" / "collections")
    elif damage == "cut":
        file = copy_of / "index" / "index.faiss"
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "gone":
        facts.unlink()
    else:
        facts.write_text(damage)
    with pytest.raises(AudioBertInputError, match=r"(bank'|Milvus) .*index=\"exact\""):
        AudioBank.load(copy_of)


def test_an_index_is_saved_beside_a_bank_without_writing_the_bank_again(kind, tmp_path):
    clustered_bank(1500).save(tmp_path)
    before = (tmp_path / "keys.safetensors").stat().st_ino
    bank = AudioBank.load(tmp_path)
    bank.build_index(kind)
    bank.save_index(tmp_path)
    assert (tmp_path / "keys.safetensors").stat().st_ino == before
    assert AudioBank.load(tmp_path).index_kind == kind
    clustered_bank(1500, seed=5).save(tmp_path)
    assert AudioBank.load(tmp_path).index is None
    with pytest.raises(AudioBertInputError, match="holds another audio bank"):
        bank.save_index(tmp_path)


def test_an_empty_bank_has_nothing_to_index(kind):
    with pytest.raises(AudioBertInputError, match="no clips, so there is nothing to index"):
        AudioBank.empty(WIDTH, 3, "clap", "encoder").build_index(kind)


@pytest.mark.parametrize("small", ["hnsw", "milvus"])
def test_a_bank_with_fewer_clips_than_asked_for_gives_all_of_them(small):
    bank = clustered_bank(5)
    bank.build_index(small, recall=1.0)
    exact = clustered_bank(5).search(QUERIES, 8)
    found = bank.search(QUERIES, 8)
    assert torch.equal(found.clip_ids, exact.clip_ids)
    assert torch.equal(found.similarities, exact.similarities)


@pytest.mark.parametrize("faiss_kind", ["hnsw", "ivfpq"])
def test_the_same_bank_gives_the_same_index_bit_for_bit(faiss_kind, tmp_path):
    for name in ("one", "two"):
        bank = clustered_bank(1500)
        bank.build_index(faiss_kind)
        bank.save(tmp_path / name)
    for file in ("index.json", "index.faiss"):
        assert (tmp_path / "one/index" / file).read_bytes() == (tmp_path / "two/index" / file).read_bytes()


def test_recall_is_measured_by_the_queries_that_are_given():
    bank = clustered_bank(1500)
    facts = bank.build_index("hnsw", queries=clustered(40, seed=9))
    assert (facts.num_queries, facts.queries) == (20, "given")
    for wrong in (torch.ones(3, 4), torch.ones(1, WIDTH), torch.ones(3, WIDTH) * torch.nan):
        with pytest.raises(AudioBertInputError, match=f"queries to measure recall by .*width {WIDTH}"):
            bank.build_index("hnsw", queries=wrong)


def test_a_recall_that_is_not_reached_is_an_error_that_tells_the_best(monkeypatch):
    # With the most candidates that are tried otherwise, a bank in which some stay unfound takes a minute to index.
    monkeypatch.setattr(bank_index, "_POOLS", (4,))
    keys = torch.randn(4000, 64, generator=torch.Generator().manual_seed(1))
    bank = AudioBank(clip_table(len(keys)), keys, torch.zeros(len(keys), 1), "clap", "encoder")
    with pytest.raises(AudioBertInputError, match=r"'ivfpq' finds at most 0\.\d+ of the nearest 10 .*not 1\.0"):
        bank.build_index("ivfpq", recall=1.0)
    assert bank.search(keys[:1]).exact


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "annoy"}, "'annoy' is no kind of index; choose one of exact, hnsw, ivfpq, milvus"),
        ({"kind": "hnsw", "recall": 0.0}, "the recall is 0.0"),
        ({"kind": "hnsw", "recall": 95}, "the recall is 95"),
        ({"kind": "hnsw", "uri": "http://localhost:1"}, "only one of kind 'milvus' has"),
        ({"kind": "ivfpq"}, "at least 1000 clips, the audio bank has 30"),
        ({"kind": "milvus", "uri": "bank.db"}, "'bank.db' is no address of a Milvus server"),
        ({"kind": "milvus", "uri": "http://me:secret@host:1"}, "holds a name or password.*MILVUS_TOKEN"),
    ],
    ids=["kind", "no recall", "percent", "address", "few clips", "no address", "password"],
)
def test_choices_that_make_no_sense_are_refused(arguments, message):
    bank = clustered_bank(30)
    with pytest.raises(AudioBertInputError, match=message):
        bank.build_index(**arguments)
    assert bank.search(QUERIES[:1]).exact


def test_the_kind_is_chosen_by_size_alone(monkeypatch):
    assert [choose_kind(count) for count in (0, 49_999, 50_000, 500_000)] == [*["exact"] * 2, *["ivfpq"] * 2]
    bank = clustered_bank(30)
    assert bank.build_index() is None
    assert bank.search(QUERIES[:1]).exact
    keys = torch.eye(2).repeat(25_000, 1)
    large = AudioBank(clip_table(len(keys)), keys, torch.zeros(len(keys), 1), "clap", "encoder")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(AudioBertInputError, match=r"audiobert\[faiss\]"):
        large.build_index()
