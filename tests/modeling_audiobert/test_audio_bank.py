"""Search against brute force, saving and loading, and what a bank refuses."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_bank import clip_table

from audiobert import AudioBank, AudioBertInputError
from audiobert.modeling_audiobert.audio_bank import CLIP_SCHEMA


def make_bank(keys: torch.Tensor, clips: pa.Table | None = None) -> AudioBank:
    clips = clip_table(len(keys)) if clips is None else clips
    return AudioBank(clips, keys, torch.randn(len(keys), 3), "clap", "encoder")


def brute_force(bank: AudioBank, query: torch.Tensor, count: int) -> list[int]:
    keys = bank.keys.double()
    cosines = [(key * query.double()).sum().item() for key in keys]
    order = sorted(range(len(keys)), key=lambda index: (-cosines[index], index))
    return order[:count]


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_search_agrees_with_brute_force_in_float64(seed, num_clips, top_k, num_queries):
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(num_clips, 4, generator=generator)
    bank = make_bank(keys[torch.randint(num_clips, (num_clips,), generator=generator)])  # with equal keys
    queries = torch.randn(num_queries, 4, generator=generator)
    found = bank.search(queries, top_k)
    assert found.clip_ids.shape == (num_queries, top_k)
    assert found.exact
    units = torch.nn.functional.normalize(queries, dim=1)
    for query, ids in zip(units, found.clip_ids.tolist(), strict=True):
        expected = brute_force(bank, query, top_k)
        assert ids == expected + [-1] * (top_k - len(expected))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_queries_of_any_dtype_and_norm_find_the_same(dtype):
    keys = torch.eye(4)
    bank = make_bank(keys)
    found = bank.search((100 * keys[[2, 0]]).to(dtype))
    assert found.clip_ids.tolist() == [[2], [0]]
    assert found.similarities.dtype == torch.float32
    torch.testing.assert_close(found.similarities, torch.ones(2, 1))


def test_shuffling_the_bank_only_renames_the_clips():
    keys = torch.randn(9, 4)
    bank, order = make_bank(keys), torch.randperm(9)
    shuffled = make_bank(keys[order], bank.clips.take(order.numpy()))
    queries = torch.randn(5, 4)
    for one, other in zip(
        bank.search(queries, 3).clip_ids.tolist(), shuffled.search(queries, 3).clip_ids.tolist(), strict=True
    ):
        assert [bank.clip(index)["id"] for index in one] == [shuffled.clip(index)["id"] for index in other]


def test_below_the_least_similarity_nothing_is_found_but_the_miss_is_told():
    bank = make_bank(torch.eye(3))
    found = bank.search(torch.tensor([[1.0, 1.0, 0.0]]), top_k=3, min_similarity=0.5)
    assert found.clip_ids.tolist() == [[0, 1, -1]]
    torch.testing.assert_close(found.similarities, torch.tensor([[0.5**0.5, 0.5**0.5, 0.0]]))


def test_keys_are_kept_at_norm_one_and_survive_saving_bit_for_bit(tmp_path):
    bank = make_bank(5 * torch.randn(6, 4))
    torch.testing.assert_close(bank.keys.norm(dim=1), torch.ones(6))
    bank.save(tmp_path / "bank")
    again = AudioBank.load(tmp_path / "bank")
    again.save(tmp_path / "bank")
    once_more = AudioBank.load(tmp_path / "bank")
    for loaded in (again, once_more):
        assert torch.equal(loaded.keys, bank.keys)
        assert torch.equal(loaded.values, bank.values)
        assert loaded.clips.equals(bank.clips)
        assert (loaded.key_fingerprint, loaded.value_fingerprint) == ("clap", "encoder")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make_bank(torch.zeros(2, 4)), "key of clip 'clip-0' is zero"),
        (lambda: make_bank(torch.full((2, 4), torch.nan)), "keys of clip 'clip-0' are not finite"),
        (lambda: make_bank(torch.eye(3), clip_table(2)), r"2 clips needs keys of shape \(2, dim\), not \(3, 3\)"),
        (lambda: make_bank(torch.eye(2), pa.concat_tables([clip_table(1)] * 2)), "'clip-0' occurs more than once"),
        (lambda: make_bank(torch.eye(2), clip_table(2).drop_columns("caption")), "missing: caption"),
        (lambda: make_bank(torch.eye(2)).search(torch.ones(1, 5)), "do not fit this audio bank's keys of width 2"),
        (lambda: make_bank(torch.eye(2)).search(torch.ones(1, 2) * torch.nan), "not a finite number"),
        (lambda: make_bank(torch.eye(2)).search(torch.ones(1, 2), top_k=0), "top_k is 0"),
        (lambda: make_bank(torch.eye(2)).clip(-1), "none at position -1"),
    ],
    ids=["zero", "nan", "count", "twice", "column", "width", "query", "top_k", "position"],
)
def test_what_makes_no_sense_is_refused_and_named(build, message):
    with pytest.raises(AudioBertInputError, match=message):
        build()


def test_a_missing_or_damaged_bank_is_named(tmp_path):
    with pytest.raises(AudioBertInputError, match=r"no audio bank at .*nowhere.*bank build"):
        AudioBank.load(tmp_path / "nowhere")
    make_bank(torch.eye(3)).save(tmp_path)
    (tmp_path / "keys.safetensors").write_bytes(b"cut")
    with pytest.raises(AudioBertInputError, match="is damaged"):
        AudioBank.load(tmp_path)
    save_file({"keys": torch.eye(2)}, tmp_path / "keys.safetensors")
    with pytest.raises(AudioBertInputError, match="3 clips needs keys of shape"):
        AudioBank.load(tmp_path)


def test_a_bank_of_another_format_is_refused(tmp_path):
    make_bank(torch.eye(3)).save(tmp_path)
    facts = json.loads((tmp_path / "bank.json").read_text())
    (tmp_path / "bank.json").write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(AudioBertInputError, match="has format 99"):
        AudioBank.load(tmp_path)


def with_sounds(count: int) -> pa.Table:
    sounds = pa.array([b"sound %d" % index for index in range(count)], pa.binary())
    clips = clip_table(count)
    return clips.set_column(clips.column_names.index("audio"), "audio", sounds)


def test_a_key_that_was_damaged_on_the_disk_is_an_error_of_the_search_or_of_verify(tmp_path):
    make_bank(torch.eye(3)).save(tmp_path)
    whole = (tmp_path / "keys.safetensors").read_bytes()
    (tmp_path / "keys.safetensors").write_bytes(whole[:-36] + np.full(9, np.nan, np.float32).tobytes())
    with pytest.raises(AudioBertInputError, match="is damaged"):
        AudioBank.load(tmp_path).search(torch.ones(1, 3))
    turned = np.eye(3, dtype=np.float32)[::-1].tobytes()
    (tmp_path / "keys.safetensors").write_bytes(whole[:-36] + turned)
    loaded = AudioBank.load(tmp_path)
    with pytest.raises(AudioBertInputError, match=r"keys of the audio bank \(3 clips\) are not those"):
        loaded.verify()
    (tmp_path / "keys.safetensors").write_bytes(whole)
    AudioBank.load(tmp_path).verify()


def test_loading_and_a_first_search_leave_values_and_sounds_on_the_disk(tmp_path):
    clips, count = with_sounds(40_000), 40_000
    values = torch.ones(1, 512).expand(count, -1)
    AudioBank(clips, torch.eye(4).repeat(count // 4, 1), values, "clap", "encoder").save(tmp_path)
    before = resident_bytes()
    bank = AudioBank.load(tmp_path)
    found = bank.search(torch.eye(4)[:1])
    assert bank.values[found.clip_ids[0]].tolist() == [[1.0] * 512]
    assert resident_bytes() - before < values.numel() * 4 / 3
    assert bank.clips.equals(clips.select(CLIP_SCHEMA.names).cast(CLIP_SCHEMA))


def resident_bytes() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("resident memory is read from /proc, which only Linux has")
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmRSS"))


def test_sounds_that_were_replaced_on_the_disk_are_not_mixed_with_other_clips(tmp_path):
    make_bank(torch.eye(3), with_sounds(3)).save(tmp_path)
    bank = AudioBank.load(tmp_path)
    make_bank(torch.eye(2), with_sounds(2)).save(tmp_path)
    with pytest.raises(AudioBertInputError, match=r"clips.parquet' was replaced since .*load the bank again"):
        _ = bank.clips
    with pytest.raises(AudioBertInputError, match="was replaced since"):
        bank.save(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_bank_with_sounds_is_saved_again_as_it_was(tmp_path):
    make_bank(torch.eye(3), with_sounds(3)).save(tmp_path / "one")
    AudioBank.load(tmp_path / "one").save(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "two" / file.name).read_bytes() == file.read_bytes()
    assert AudioBank.load(tmp_path / "two").clips["audio"].to_pylist() == [b"sound 0", b"sound 1", b"sound 2"]


@pytest.mark.parametrize("source", ["audio", "captions"])
def test_what_keys_were_made_from_is_saved_told_and_kept(tmp_path, source):
    bank = AudioBank(clip_table(3), torch.eye(3), torch.ones(3, 2), "clap", "encoder", source)
    bank.with_values(torch.ones(3, 7), "trained").save(tmp_path)
    loaded = AudioBank.load(tmp_path)
    assert loaded.key_source == source
    assert f"key_source='{source}'" in repr(loaded)
    assert json.loads((tmp_path / "bank.json").read_text())["key_source"] == source
    loaded.build_index("exact")
    loaded.save_index(tmp_path)
    assert AudioBank.load(tmp_path).key_source == source


def test_a_bank_that_does_not_tell_has_keys_of_sounds_and_an_unknown_source_is_refused(tmp_path):
    make_bank(torch.eye(3)).save(tmp_path)
    facts = json.loads((tmp_path / "bank.json").read_text())
    told = facts.pop("key_source")
    (tmp_path / "bank.json").write_text(json.dumps(facts))
    assert (told, AudioBank.load(tmp_path).key_source) == ("audio", "audio")
    (tmp_path / "bank.json").write_text(json.dumps(facts | {"key_source": "smells"}))
    with pytest.raises(AudioBertInputError, match=r"were made from 'smells'.*Install the version"):
        AudioBank.load(tmp_path)
    with pytest.raises(AudioBertInputError, match="key_source='smells' makes no sense: 'audio' or 'captions'"):
        AudioBank(clip_table(3), torch.eye(3), torch.ones(3, 2), "clap", "encoder", "smells")


def test_other_keys_of_norm_1_leave_the_bank_as_it_was_and_need_no_new_fingerprint():
    bank = make_bank(torch.eye(3))
    other = bank.with_keys(2 * torch.eye(3)[[2, 0, 1]], "captions")
    assert torch.equal(other.keys, torch.eye(3)[[2, 0, 1]])
    assert (other.key_source, other.key_fingerprint, other.values) == ("captions", "clap", bank.values)
    assert (bank.key_source, bank.search(torch.eye(3)).clip_ids.tolist()) == ("audio", [[0], [1], [2]])
    assert other.digest("keys") != bank.digest("keys")
    for keys, reason in (
        (torch.eye(2), "3 clips needs keys"),
        (torch.eye(3) * torch.nan, "keys of clip 'clip-0' are not finite"),
        (torch.diag(torch.tensor([1.0, 0.0, 1.0])), "key of clip 'clip-1' is zero"),
    ):
        with pytest.raises(AudioBertInputError, match=reason):
            bank.with_keys(keys, "captions")


def test_other_values_keep_clips_and_keys():
    bank = make_bank(torch.eye(3))
    other = bank.with_values(torch.ones(3, 7), "trained")
    assert torch.equal(other.values, torch.ones(3, 7))
    assert (other.key_fingerprint, other.value_fingerprint) == ("clap", "trained")
    assert other.keys is bank.keys
    assert bank.value_fingerprint == "encoder"
    with pytest.raises(AudioBertInputError, match="3 clips needs values"):
        bank.with_values(torch.ones(2, 7), "trained")
    with pytest.raises(AudioBertInputError, match="are not finite"):
        bank.with_values(torch.ones(3, 7) * torch.nan, "trained")
