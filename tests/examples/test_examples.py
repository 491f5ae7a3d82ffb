"""The examples, each run as it stands, on tiny models."""

import importlib.util
import re
from pathlib import Path

import pytest
import soundfile
import torch
from chat_stand_in import MODEL, ChatState, chat_handler
from datasets import load_dataset
from hearing_model import HEARD, save_hearing_model
from http_stand_in import serving
from tiny_benchmark import write_benchmark
from tiny_clips import CAPTIONS, write_manifest
from tiny_sounds import tone, write_clips

from audiobert import AudioBank, AudioBertForMaskedLM


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, *arguments) -> None:
    """Call an example's `main` with the words of a command line."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(*map(str, arguments))


@pytest.fixture(scope="module")
def model(parts, tmp_path_factory):
    return save_hearing_model(parts, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def benchmark_folder(tmp_path_factory):
    return write_benchmark(tmp_path_factory.mktemp("benchmark"))


def test_each_example_is_listed_and_tested():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    listed = set(re.findall(r"^\| `(\w+)\.py` \|", (EXAMPLES / "README.md").read_text("utf-8"), re.M))
    tested = set(re.findall(r'run\(\s*"(\w+)"', Path(__file__).read_text("utf-8")))
    assert names == listed == tested


def test_fill_mask_shows_what_was_heard(model, capsys):
    run("fill_mask", model, HEARD, "i like tea with a [MASK]")
    shown = capsys.readouterr().out
    assert re.search(r"heard 'meow': a sound, number \d \(similarity -?0\.\d+\)", shown)
    assert shown.count("hearing on: ") == shown.count("hearing off: ") == 2


def test_a_language_model_is_measured_on_two_splits(parts, benchmark_folder, capsys):
    run("benchmark_a_language_model", parts.language_model, benchmark_folder)
    lines = [line for line in capsys.readouterr().out.splitlines() if "% of" in line]
    assert len(lines) == 6
    assert "42 rows" in lines[2]


def test_a_model_is_trained_on_ones_own_bank(parts, benchmark_folder, tmp_path, capsys):
    write_clips(tmp_path / "clips", per_label=1)
    parts_of_it = (parts.language_model, parts.span_detector, parts.clap, parts.audio_encoder)
    settings = (
        "training.max_steps=1",
        "training.use_cpu=true",
        "adapter.r=2",
        "training.per_device_train_batch_size=4",
    )
    run("train_on_your_bank", tmp_path / "clips", benchmark_folder, *parts_of_it, tmp_path / "out", *settings)
    assert len(AudioBank.load(tmp_path / "out" / "audiobert", subfolder="bank")) == 3
    assert len(eval(capsys.readouterr().out.splitlines()[-1], {})) == 5


def test_an_added_sound_is_heard_and_changes_the_answer(parts, model, tmp_path, capsys):
    # The tiny CLAP is random, so the clips of this bank are turned away from what is asked for.
    far = AudioBertForMaskedLM.from_pretrained(model)
    keys = torch.nn.functional.normalize(-far.embed_queries(["meow"]) + 0.1 * far.bank.keys.clone(), dim=1)
    far.bank = AudioBank(far.bank.clips, keys, far.bank.values, far.bank.key_fingerprint, far.bank.value_fingerprint)
    far.save_pretrained(tmp_path / "far")
    soundfile.write(tmp_path / "sound-1.wav", tone(1500), 16_000)
    out = tmp_path / "with-sound"
    run("add_a_sound", tmp_path / "far", parts.clap, tmp_path / "sound-1.wav", "a whistle", HEARD, out)
    before, after = capsys.readouterr().out.splitlines()[-2:]
    bank = AudioBank.load(out, subfolder="bank")
    assert len(bank) == 7
    assert bank.clip(6)["caption"] == "a whistle"
    assert bank.clips["audio"][6].as_py() == (tmp_path / "sound-1.wav").read_bytes()
    assert "a whistle" not in before
    assert "a whistle" in after
    assert before.partition("answers")[2] != after.partition("answers")[2]


def test_a_benchmark_is_constructed_from_captions(tmp_path, capsys, online):
    captions = [f"{caption}, take {take}" for take in range(4) for caption in CAPTIONS]
    manifest = write_manifest(tmp_path / "clips", captions)
    for number in range(len(captions)):
        soundfile.write(tmp_path / "clips" / f"{number}.wav", tone(100 + 40 * number, 0.3), 16_000)
    with serving(chat_handler(ChatState())) as address:
        run("construct_a_benchmark", manifest, f"{address}/v1", tmp_path / "mine", MODEL)
    assert re.search(r"^\d+ candidates, \d+ rejected$", capsys.readouterr().out, re.M)
    rows = load_dataset(str(tmp_path / "mine"), "animal_sound_recognition")
    assert set(rows) >= {"train", "validation", "test"}
