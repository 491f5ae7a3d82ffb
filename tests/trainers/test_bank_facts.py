"""What `audiobert bank info` tells of a bank."""

import pytest
from tiny_sounds import write_clips

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.trainers.bank_building import build_bank
from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders
from audiobert.trainers.bank_facts import bank_facts


@pytest.fixture(scope="module")
def encoders(parts):
    return load_bank_encoders(parts.clap, parts.audio_encoder)


@pytest.mark.parametrize("embedded", [False, True], ids=["without audio", "with audio"])
def test_the_facts_of_a_bank_add_up(encoders, tmp_path, embedded):
    manifest = write_clips(tmp_path / "clips")
    (tmp_path / "clips" / "hum" / "1.wav").write_bytes(b"not a sound")
    bank, _ = build_bank(manifest, encoders, tmp_path / "bank", BankOptions(embed_audio=embedded))
    facts = bank_facts(tmp_path / "bank")
    assert facts["clips"] == 11
    assert facts["hours"] == pytest.approx(sum(bank.clips["duration_seconds"].to_pylist()) / 3600, abs=1e-4)
    assert facts["most_frequent_labels"] == {"whistle": 4, "rain": 4, "hum": 3}
    assert facts["licences"] == {"CC0": 11}
    assert (facts["key_fingerprint"], facts["value_fingerprint"]) == encoders.fingerprints()
    assert facts["key_source"] == "audio"
    assert (facts["index"], facts["left_out"]) == ("exact", 1)
    assert facts["with_audio"] == (11 if embedded else 0)
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "bank").iterdir()}
    assert facts["bytes"].pop("total") == sum(facts["bytes"].values())
    assert facts["bytes"] == {name: size for name, size in sizes.items() if name != "skipped_clips.json"}
    in_memory = bank_facts(AudioBank.load(tmp_path / "bank"))
    assert in_memory == {name: fact for name, fact in facts.items() if name in in_memory}


def test_the_index_of_a_bank_is_told_with_its_size(encoders, tmp_path):
    pytest.importorskip("faiss", reason='install "audiobert[faiss]"')
    bank, _ = build_bank(write_clips(tmp_path / "clips"), encoders, tmp_path / "bank")
    bank.build_index("hnsw")
    bank.save_index(tmp_path / "bank")
    facts = bank_facts(tmp_path / "bank")
    assert facts["index"] == "hnsw"
    assert facts["bytes"]["index"] == sum(file.stat().st_size for file in (tmp_path / "bank" / "index").iterdir())
