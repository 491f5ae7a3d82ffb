"""`audiobert bank` and the training of CLAP and audio encoder, as a user meets them."""

import json

import numpy as np
import pytest
import soundfile
import torch
from tiny_sounds import RATE, noise, tone, write_clips, write_manifest
from tiny_tars import write_tar, write_tars
from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.modeling_audiobert.audio_bank import AudioBank


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def reason_of(result) -> str:
    """The one line that a refused command prints."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("audiobert: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.stderr
    return lines[0]


def build(source, parts, out, *options):
    return run(
        "bank", "build", source, "--clap", parts.clap, "--audio-encoder", parts.audio_encoder, "--out", out, *options
    )


@pytest.fixture(scope="module")
def bank(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    result = build(write_clips(folder / "clips"), parts, folder / "bank")
    assert result.exit_code == 0, result.output
    assert "12 clips" in result.stdout
    return folder / "bank"


def test_search_prints_similarity_caption_licence_and_path_in_both_forms(bank, parts):
    result = run("bank", "search", bank, "whistle sound", "--clap", parts.clap, "--top-k", 2, "--json")
    assert result.exit_code == 0, result.output
    clips = json.loads(result.stdout)["clips"]
    assert len(clips) == 2
    assert clips[0]["similarity"] >= clips[1]["similarity"]
    plain = run("bank", "search", bank, "whistle sound", "--clap", parts.clap, "--top-k", 2).stdout.splitlines()
    for line, clip in zip(plain, clips, strict=True):
        assert line == f"{clip['similarity']:6.3f}  {clip['caption']}  [CC0]  {clip['path']}"


def test_info_is_one_json_document_or_one_line_a_fact(bank):
    facts = json.loads(run("bank", "info", bank, "--json").stdout)
    assert facts["clips"] == 12
    assert facts["licences"] == {"CC0": 12}
    plain = run("bank", "info", bank).stdout
    assert f"key fingerprint: {facts['key_fingerprint']}" in plain
    assert "licences: CC0 (12)" in plain


def test_a_search_with_another_clap_or_without_a_bank_is_refused_in_one_line(bank, parts, tmp_path):
    assert "made by CLAP" not in reason_of(run("bank", "search", bank, "cat", "--clap", parts.audio_encoder))
    assert "there is no audio bank" in reason_of(run("bank", "info", tmp_path / "nowhere"))
    assert "top_k is 0" in reason_of(run("bank", "search", bank, "cat", "--clap", parts.clap, "--top-k", 0))


def test_a_bank_is_saved_again_with_keys_from_its_captions(bank, parts, tmp_path):
    out = tmp_path / "captions"
    result = run("bank", "caption-keys", bank, "--clap", parts.clap, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: 12 clips, keys from their captions\n"
    as_json = run("bank", "caption-keys", bank, "--clap", parts.clap, "--out", tmp_path / "again", "--json")
    assert json.loads(as_json.stdout) == {"bank": str(tmp_path / "again"), "clips": 12, "key_source": "captions"}
    assert "key source: captions" in run("bank", "info", out).stdout
    assert json.loads(run("bank", "info", bank, "--json").stdout)["key_source"] == "audio"
    assert json.loads(run("bank", "info", out, "--json").stdout)["key_source"] == "captions"
    found = run("bank", "search", out, "the sound of rain", "--clap", parts.clap, "--top-k", 1, "--json")
    assert json.loads(found.stdout)["clips"][0]["label"] == "rain"
    again = reason_of(run("bank", "caption-keys", bank, "--clap", parts.clap, "--out", out))
    assert f"'{out}' holds something already" in again
    assert "made by CLAP" in reason_of(
        run("bank", "caption-keys", bank, "--clap", another_clap(parts, tmp_path), "--out", tmp_path / "none")
    )
    assert not (tmp_path / "none").exists()


def another_clap(parts, folder):
    """A CLAP with other weights."""
    clap = ClapModel.from_pretrained(parts.clap)
    with torch.no_grad():
        clap.text_projection.linear1.weight += 1.0
    clap.save_pretrained(folder / "clap")
    for part in (AutoTokenizer, AutoFeatureExtractor):
        part.from_pretrained(parts.clap).save_pretrained(folder / "clap")
    return folder / "clap"


def spoilt(value: float) -> np.ndarray:
    samples = tone()
    samples[3] = value
    return samples


BAD_FILES = {
    "missing": (None, "is missing"),
    "empty": (b"", "is empty"),
    "not audio": (b"words " * 100, "cannot be decoded"),
    "all zeros": (np.zeros(RATE, np.float32), "is silent"),
    "NaN": (spoilt(np.nan), "not finite"),
    "too short": (tone(seconds=0.05), "lasts 0.05 s"),
    "too long": (np.tile(tone(seconds=1.0), 601), "lasts 601 s"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_audio_file_is_one_line_and_nothing_is_written(parts, tmp_path, kind):
    content, reason = BAD_FILES[kind]
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "good.wav", noise(), RATE)
    bad = tmp_path / "clips" / "bad.wav"
    if isinstance(content, bytes):
        bad.write_bytes(content)
    elif content is not None:
        soundfile.write(bad, content, RATE, subtype="FLOAT")
    rows = [{"id": "good", "path": "good.wav"}, {"id": "bad", "path": "bad.wav"}]
    manifest = write_manifest(tmp_path / "clips", rows)
    line = reason_of(build(manifest, parts, tmp_path / "bank", "--strict"))
    assert "bad.wav" in line
    assert reason in line
    assert not (tmp_path / "bank").exists()
    skipping = build(manifest, parts, tmp_path / "bank", "--json")
    assert skipping.exit_code == 0, skipping.output
    report = json.loads(skipping.stdout)
    assert report["clips"] == 1
    assert [clip["id"] for clip in report["skipped"]] == ["bad"]


@pytest.mark.parametrize("channels", [1, 2])
def test_8_khz_and_stereo_files_and_a_folder_without_a_manifest_are_taken(parts, tmp_path, channels):
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "low.wav", np.stack([tone(rate=8000)] * channels, axis=1), 8000)
    result = build(tmp_path / "clips", parts, tmp_path / "bank", "--embed-audio", "--json")
    assert result.exit_code == 0, result.output
    stored = AudioBank.load(tmp_path / "bank")
    assert stored.clip(0)["id"] == "low"
    assert stored.clips["audio"][0].as_py() == (tmp_path / "clips" / "low.wav").read_bytes()


def test_tars_become_a_bank_whose_clips_come_and_go_and_what_was_done_is_printed(parts, tmp_path):
    write_tars(tmp_path / "set")
    built = build(f"{tmp_path}/set/{{0..1}}.tar", parts, tmp_path / "bank", "--json")
    assert built.exit_code == 0, built.output
    report = json.loads(built.stdout)
    assert (report["clips"], report["added"], report["skipped"], report["duplicates"]) == (6, 6, [], [])
    assert 0 < report["speed"]["encoder_share"] < 1
    assert report["speed"]["real_time_factor"] > 0
    removed = run("bank", "remove", tmp_path / "bank", "0/1", "1/0", "--json")
    assert json.loads(removed.stdout)["clips"] == 4
    encoders = ["--clap", parts.clap, "--audio-encoder", parts.audio_encoder]
    assert "has a clip '0/0' already" in reason_of(run("bank", "add", tmp_path / "bank", tmp_path / "set", *encoders))
    write_tar(tmp_path / "more.tar", [("x.wav", tone()), ("x.json", {"text": "a hum"}), ("y.wav", b"")])
    added = run("bank", "add", tmp_path / "bank", tmp_path / "more.tar", *encoders)
    assert added.exit_code == 0, added.output
    assert "5 clips, 1 of them new; 1 skipped, 0 copies" in added.stdout
    assert "of the processor's time in the encoders" in added.stdout
    assert AudioBank.load(tmp_path / "bank").clips["id"].to_pylist() == ["0/0", "0/2", "1/1", "1/2", "more/x"]
    assert "no tar" in reason_of(build(f"{tmp_path}/set/{{0..2}}.tar", parts, tmp_path / "none"))
    assert "could not be reached" in reason_of(build("nobody/nothing", parts, tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_wrong_manifests_and_places_are_one_line_each(parts, tmp_path):
    write_clips(tmp_path / "clips", per_label=1)
    columns = tmp_path / "clips" / "columns.csv"
    columns.write_text("id,caption\none,a cat\n")
    assert "columns.csv' lacks path" in reason_of(build(columns, parts, tmp_path / "bank"))
    twice = write_manifest(tmp_path / "clips", [{"id": "a", "path": "hum/0.wav"}] * 2, "twice.csv")
    assert "twice.csv', row 2: the id 'a'" in reason_of(build(twice, parts, tmp_path / "bank"))
    leaving = write_manifest(tmp_path / "clips", [{"id": "a", "path": "../hum/0.wav"}], "leaving.csv")
    assert "leaving.csv', row 1" in reason_of(build(leaving, parts, tmp_path / "bank"))
    (tmp_path / "file").write_text("")
    assert "is a file" in reason_of(build(tmp_path / "clips", parts, tmp_path / "file"))
    assert not (tmp_path / "bank").exists()
    wrong = run(
        "bank", "build", tmp_path / "clips", "--clap", parts.language_model, "--audio-encoder", parts.audio_encoder,
        "--out", tmp_path / "bank",
    )  # fmt: skip
    assert "model_type 'bert'" in reason_of(wrong)


def test_clap_and_audio_encoder_are_trained_by_recipe_and_make_a_bank(parts, tmp_path):
    manifest = write_clips(tmp_path / "clips")
    shared = [f"clips={manifest}", f"feature_cache={tmp_path}/features", "training.num_train_epochs=1"]
    shared += ["training.per_device_train_batch_size=4", "training.use_cpu=true", "validation_share=0.25"]
    tower = "spec_size=64 patch_size=4 window_size=4 patch_embeds_hidden_size=8 depths=[1,1] num_attention_heads=[2,2]"
    settings = [f"audio_tower.{setting}" for setting in tower.split()]
    settings += ["window.max_length_s=1", "window.hop_length=160", "window.feature_size=16"]
    settings += [f"text_model={parts.language_model}", f"output_dir={tmp_path}/clap"]
    clap = run("train", "clap", "--config", "cpu_small", *shared, *settings, "--json")
    assert clap.exit_code == 0, clap.stderr
    assert json.loads(clap.stdout) == [json.loads((tmp_path / "clap" / "metrics.json").read_text())]
    shape = "max_length=64 num_mel_bins=32 hidden_size=24 num_hidden_layers=1 num_attention_heads=2"
    settings = [f"shape.{setting}" for setting in shape.split()] + [f"output_dir={tmp_path}/encoder"]
    encoder = run("train", "audio-encoder", "--config", "cpu_small", *shared, *settings)
    assert encoder.exit_code == 0, encoder.stderr
    assert "accuracy_by_mean" in encoder.stdout
    built = run(
        "bank", "build", manifest, "--clap", tmp_path / "clap", "--audio-encoder", tmp_path / "encoder",
        "--out", tmp_path / "bank",
    )  # fmt: skip
    assert built.exit_code == 0, built.stderr
    assert run("bank", "search", tmp_path / "bank", "hum sound", "--clap", tmp_path / "clap").exit_code == 0


@pytest.mark.parametrize("kind", ["clap", "audio-encoder"])
def test_a_typo_in_a_recipe_and_a_missing_manifest_are_one_line(kind, tmp_path):
    assert "did you mean 'clips'" in reason_of(run("train", kind, "--config", "cpu_small", "clip=x"))
    line = reason_of(run("train", kind, "--config", "cpu_small", f"output_dir={tmp_path}/run"))
    assert "'clips' is not set" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "command",
    [
        *(["bank", name] for name in ("build", "add", "remove", "caption-keys", "search", "info")),
        ["train", "clap"],
    ],
)
def test_help_shows_an_example(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"Example: audiobert {' '.join(command)}" in result.stdout
