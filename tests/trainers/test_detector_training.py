import csv
import json
import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import precision_recall_fscore_support
from tiny_benchmark import ANIMAL_FILE, PITCH_FILE, write_benchmark
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    EsmTokenizer,
    EvalPrediction,
)

from audiobert import AudioBertForMaskedLM, AudioBertInputError, TrunkDetector, TrunkDetectorConfig
from audiobert.trainers.detector_kinds import TrunkKind
from audiobert.trainers.detector_measurement import evaluate_detectors
from audiobert.trainers.detector_recipe import ProbeSettings
from audiobert.trainers.detector_rows import OrdinaryTextSettings, token_labels
from audiobert.trainers.detector_training import DetectorRecipe, span_token_metrics, train_detector
from audiobert.trainers.recipe import load_recipe


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("benchmark"))


def recipe_of(parts, data_dir: Path, output_dir: Path, epochs: float = 4.0, **changes) -> DetectorRecipe:
    training = {
        "num_train_epochs": epochs,
        "per_device_train_batch_size": 6,
        "learning_rate": 2e-2,
        "disable_tqdm": True,
        "use_cpu": True,
    }
    settings = {"language_model": str(parts.language_model), "training": training, **changes}
    return DetectorRecipe(data_dir=data_dir, output_dir=output_dir, **settings)


def label_words(tokenizer, row: dict) -> dict[int, list[str]]:
    encoded = token_labels([row], tokenizer, max_length=64)[0]
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert len(tokens) == len(encoded["labels"]) == len(encoded["attention_mask"])
    return {
        wanted: [token for token, label in zip(tokens, encoded["labels"], strict=True) if label == wanted]
        for wanted in (-100, 0, 1)
    }


@pytest.mark.parametrize("mask_token", ["[MASK]", "<m>", "<a long mask token>"])
def test_the_words_of_a_span_are_labelled_whatever_the_mask_token_is_called(parts, mask_token):
    tokenizer = AutoTokenizer.from_pretrained(parts.language_model, mask_token=mask_token)
    sentence = "A [MASK] makes a loud meow sound xyz."
    spans = [(sentence.index("loud"), sentence.index(" sound")), (-1, -1)]
    row = {"sentence": sentence, "spans": [{"text": "", "start": start, "end": end} for start, end in spans]}
    assert label_words(tokenizer, row) == {
        -100: ["[CLS]", mask_token, "[SEP]"],
        0: ["a", "makes", "a", "sound", "[UNK]", "."],
        1: ["loud", "meow"],
    }


def test_a_span_around_the_gap_leaves_the_gap_unlabelled_and_truncation_cuts(parts):
    tokenizer = AutoTokenizer.from_pretrained(parts.language_model)
    sentence = "the sound of a [MASK] cat"
    row = {"sentence": sentence, "spans": [{"text": "", "start": 4, "end": len(sentence)}]}
    assert label_words(tokenizer, row)[1] == ["sound", "of", "a", "cat"]
    assert token_labels([row], tokenizer, max_length=4)[0]["labels"] == [-100, 0, 1, -100]


def test_token_metrics_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    labels, found = generator.choice([-100, 0, 1], (7, 9)), generator.choice([0, 1], (7, 9))
    kept = labels != -100
    expected = precision_recall_fscore_support(labels[kept], found[kept], average="binary")[:3]
    metrics = span_token_metrics(EvalPrediction(predictions=found, label_ids=labels))
    assert [metrics[name] for name in ("precision", "recall", "f1")] == pytest.approx(expected)
    nothing = span_token_metrics(EvalPrediction(predictions=0 * found, label_ids=labels))
    assert nothing == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_a_detector_learns_the_spans_and_is_saved_with_all_that_it_needs(parts, benchmark, tmp_path):
    recipe = recipe_of(parts, benchmark, tmp_path / "run")
    (metrics,) = train_detector(recipe)
    # Train and validation hold the same sentences: what it has seen it must know.
    assert metrics["validation"]["f1"] > 0.9
    assert metrics["rows"] == {"train": 42, "ordinary": 0, "varied": 0, "validation": 42}
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    assert load_recipe(DetectorRecipe, tmp_path / "run" / "recipe.yaml") == recipe

    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "run")
    assert model.config.id2label == {0: "outside", 1: "span"}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run")
    inputs = tokenizer("A [MASK] makes a moo sound.", return_tensors="pt")
    with torch.inference_mode():
        labels = model(**inputs).logits[0].argmax(dim=-1).tolist()
    assert labels[tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]).index("moo")] == 1


def test_a_trunk_detector_learns_is_saved_and_hears_in_an_audiobert(parts, benchmark, tmp_path):
    recipe = recipe_of(parts, benchmark, tmp_path / "run", epochs=15.0, detector="trunk")
    recipe.probe = ProbeSettings(layer=1, width=24, window=3)
    (metrics,) = train_detector(recipe)
    assert metrics["validation"]["f1"] > 0.9
    saved = TrunkDetector.from_pretrained(tmp_path / "run")
    assert (saved.config.layer, saved.config.width, saved.config.window) == (1, 24, 3)
    assert saved.config.detector_threshold == metrics["threshold"]["value"]
    card = (tmp_path / "run" / "README.md").read_text()
    assert str(metrics["threshold"]["value"]) in card
    assert str(parts.language_model) not in card + (tmp_path / "run" / "config.json").read_text()

    model = AudioBertForMaskedLM.from_parts(
        parts.language_model, tmp_path / "run", parts.clap, parts.audio_encoder, lora_r=4
    )
    assert model.config.detector == "trunk"
    assert model.config.detector_threshold == metrics["threshold"]["value"]
    inputs = model.retriever.tokenizer("A [MASK] makes a moo sound.", return_tensors="pt")
    spans = model.detect_spans(**inputs)[0].tolist()
    assert model.retriever.span_texts(inputs["input_ids"], torch.tensor([spans])) == [["moo"]]


def test_hidden_states_are_those_of_the_language_model_alone_and_computed_once(parts, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(parts.language_model)
    rows = [
        {"sentence": text, "spans": []} for text in ("a cat makes a sound.", "it", "when you hear a [MASK], it is")
    ]
    encoded = token_labels(rows, tokenizer, 64)
    kind = TrunkKind(str(parts.language_model), tokenizer, {"layer": 1})
    dataset = kind.dataset(encoded, "test")
    model = AutoModelForMaskedLM.from_pretrained(parts.language_model)
    assert len(dataset) == 3
    for index, row in enumerate(encoded):
        with torch.no_grad():
            states = model(torch.tensor([row["input_ids"]]), output_hidden_states=True).hidden_states[1][0]
        torch.testing.assert_close(dataset[index]["hidden_states"], states, atol=1e-6, rtol=1e-5)
        assert dataset[index]["labels"] == row["labels"]
    batch = kind.collator([dataset[0], dataset[1]])
    assert batch["hidden_states"].shape == (2, len(encoded[0]["labels"]), 32)
    assert batch["labels"][1, 3:].eq(-100).all()
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(row["labels"]) for row in encoded[:2]]


def test_ordinary_text_is_counted_chosen_by_and_learnt_from(parts, benchmark, tmp_path):
    words = ["tea", "cow", "bird", "rain", "loud", "soft", "quiet", "snake", "duck", "bee"]
    lines = [
        f"i like {one} with {other}, you hear that {third}" for one in words for other in words for third in words
    ]
    text = tmp_path / "ordinary.txt"
    text.write_text("\n".join(lines))
    settings = {"path": text, "measure_lines": 40, "choose_lines": 40}

    def flagged(name: str, **changes) -> dict:
        recipe = recipe_of(parts, benchmark, tmp_path / name, detector="trunk")
        recipe.ordinary_text = OrdinaryTextSettings(**settings, **changes)
        (metrics,) = train_detector(recipe)
        assert metrics["ordinary_text"]["measure"]["lines"] == 40
        assert metrics["rows"]["ordinary"] == changes.get("train_lines", 0)
        return metrics

    ignorant = flagged("ignorant", false_alarm_weight=0.0)
    careful = flagged("careful", false_alarm_weight=5.0)
    taught = flagged("taught", false_alarm_weight=0.0, train_lines=200)
    assert ignorant["ordinary_text"]["measure"]["flagged"] > 0
    assert careful["threshold"]["value"] > ignorant["threshold"]["value"]
    for better in (careful, taught):
        assert better["threshold"]["flagged_share"] < ignorant["threshold"]["flagged_share"]


def test_varied_rows_are_trained_on_and_no_ordinary_line_contradicts_them(parts, benchmark, tmp_path):
    text = tmp_path / "ordinary.txt"
    text.write_text("\n".join(["i like tea"] * 6 + ["the bees buzzed", "i sleep soundly", "such noise"]))
    recipe = recipe_of(parts, benchmark, tmp_path / "run", varied_rows=50)
    recipe.ordinary_text = OrdinaryTextSettings(text, measure_lines=2, choose_lines=3, train_lines=4)
    (metrics,) = train_detector(recipe)
    assert metrics["rows"] == {"train": 42, "ordinary": 2, "varied": 50, "validation": 42}
    plain = recipe_of(parts, benchmark, tmp_path / "plain", varied_rows=0)
    (without,) = train_detector(plain)
    assert without["steps"] < metrics["steps"]


def test_full_stops_are_left_out_of_the_training_rows_if_asked(parts, benchmark, tmp_path):
    (plain,) = train_detector(recipe_of(parts, benchmark, tmp_path / "plain"))
    (other,) = train_detector(recipe_of(parts, benchmark, tmp_path / "open", open_ended_share=1.0))
    assert plain["rows"] == other["rows"]
    weights = [load_file(tmp_path / run / "model.safetensors") for run in ("plain", "open")]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    with pytest.raises(AudioBertInputError, match=r"open_ended_share=-1.0 is no share; give a number from 0 to 1"):
        train_detector(recipe_of(parts, benchmark, tmp_path / "none", open_ended_share=-1.0))


def test_the_card_tells_the_facts_of_the_run_and_no_folder_of_its_writer(parts, benchmark, tmp_path):
    (metrics,) = train_detector(recipe_of(parts, benchmark, tmp_path / "run", max_train_rows=6))
    assert metrics["rows"]["train"] == 6
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"{metrics['validation']['f1']:.4f}" in card
    assert metrics["data_sha256"]["train"] in card
    assert "max_train_rows: 6" in card
    for path in (tmp_path / "run" / "README.md", tmp_path / "run" / "config.json"):
        assert str(parts.language_model) not in path.read_text()
        assert str(tmp_path) not in path.read_text()


@pytest.mark.parametrize("detector", ["separate", "trunk"])
def test_several_seeds_give_a_detector_each_and_finished_ones_are_not_repeated(parts, benchmark, tmp_path, detector):
    recipe = recipe_of(parts, benchmark, tmp_path, seeds=[0, 1], max_train_rows=6, detector=detector)
    runs = train_detector(recipe)
    assert [run["seed"] for run in runs] == [0, 1]
    files = [tmp_path / f"seed-{seed}" / "model.safetensors" for seed in (0, 1)]
    one, other = map(load_file, files)
    classifier = {"separate": "classifier.weight", "trunk": "probes.0.classifier.weight"}[detector]
    assert not torch.equal(one[classifier], other[classifier])
    table = json.loads((tmp_path / "table2.json").read_text())
    assert {entry["seeds"] for entry in table["scores"]} == {2}

    written = [path.stat().st_mtime_ns for path in files]
    (tmp_path / "seed-1" / "metrics.json").unlink()
    again = train_detector(recipe)
    assert again[0] == runs[0]
    assert again[1]["results"] == runs[1]["results"]
    assert files[0].stat().st_mtime_ns == written[0]
    assert files[1].stat().st_mtime_ns != written[1]
    with pytest.raises(AudioBertInputError, match=r"another recipe \(it differs in max_train_rows\)"):
        train_detector(recipe_of(parts, benchmark, tmp_path, seeds=[0, 1], max_train_rows=7, detector=detector))


def test_the_probes_of_several_seeds_become_one_detector(parts, benchmark, tmp_path):
    settings = {"seeds": [0, 1], "max_train_rows": 6, "detector": "trunk"}
    alone = train_detector(recipe_of(parts, benchmark, tmp_path, **settings))
    written = (tmp_path / "seed-0" / "model.safetensors").stat().st_mtime_ns
    assert not (tmp_path / "combined").exists()

    together = recipe_of(parts, benchmark, tmp_path, combine=True, **settings)
    assert train_detector(together) == alone
    assert (tmp_path / "seed-0" / "model.safetensors").stat().st_mtime_ns == written
    one, other, whole = (TrunkDetector.from_pretrained(tmp_path / name) for name in ("seed-0", "seed-1", "combined"))
    hidden = torch.randn(2, 5, one.config.hidden_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean = (one(hidden).logits.softmax(dim=-1) + other(hidden).logits.softmax(dim=-1)) / 2
        torch.testing.assert_close(whole(hidden).logits.softmax(dim=-1), mean)
    metrics = json.loads((tmp_path / "combined" / "metrics.json").read_text())
    assert (metrics["probes"], list(metrics["runs"])) == (2, ["0", "1"])
    assert load_recipe(DetectorRecipe, tmp_path / "combined" / "recipe.yaml").combine
    assert metrics["threshold"]["value"] == whole.config.detector_threshold
    assert "2 probes combined" in (tmp_path / "table2.md").read_text()
    measured = evaluate_detectors([tmp_path / "combined"], benchmark)["detectors"]
    assert measured[0]["results"] == metrics["results"]

    made = (tmp_path / "combined" / "metrics.json").stat().st_mtime_ns
    train_detector(together)
    assert (tmp_path / "combined" / "metrics.json").stat().st_mtime_ns == made
    train_detector(recipe_of(parts, benchmark, tmp_path, combine=True, **settings | {"seeds": [0, 1, 2]}))
    assert TrunkDetector.from_pretrained(tmp_path / "combined").config.num_probes == 3


def test_seeds_of_other_data_are_not_combined(parts, tmp_path):
    data_dir = write_benchmark(tmp_path / "benchmark")
    settings = {"epochs": 1.0, "max_train_rows": 6, "detector": "trunk"}
    train_detector(recipe_of(parts, data_dir, tmp_path / "runs" / "seed-0", **settings, seeds=[0]))
    changed = next(data_dir.rglob("*recognition_dev.csv"))
    changed.write_text(changed.read_text().replace("quiet", "soft"))
    with pytest.raises(AudioBertInputError, match=r"seed 0 was trained on other validation rows"):
        train_detector(recipe_of(parts, data_dir, tmp_path / "runs", combine=True, **settings, seeds=[0, 1]))
    assert not (tmp_path / "runs" / "seed-1").exists()  # found before anything is trained


def test_what_cannot_be_combined_is_refused(parts, benchmark, tmp_path):
    with pytest.raises(AudioBertInputError, match="combine=true puts trunk detectors together"):
        train_detector(recipe_of(parts, benchmark, tmp_path, combine=True, seeds=[0, 1]))
    wide, narrow = (TrunkDetector(TrunkDetectorConfig(hidden_size=8, layer=1, width=width)) for width in (8, 4))
    with pytest.raises(AudioBertInputError, match="another width cannot be combined"):
        TrunkDetector.combined([wide, narrow])
    with pytest.raises(AudioBertInputError, match="at least one"):
        TrunkDetector.combined([])


def test_probes_side_by_side_learn_each_by_itself(parts, benchmark, tmp_path):
    probe = ProbeSettings(num_probes=2)
    train_detector(recipe_of(parts, benchmark, tmp_path, detector="trunk", probe=probe, max_train_rows=6))
    saved = load_file(tmp_path / "model.safetensors")
    assert not torch.equal(saved["probes.0.classifier.weight"], saved["probes.1.classifier.weight"])
    detector = TrunkDetector.from_pretrained(tmp_path)
    hidden, labels = torch.randn(1, 3, detector.config.hidden_size), torch.tensor([[0, 1, -100]])
    with torch.no_grad():
        losses = []
        for keep in detector.probes:
            alone = TrunkDetector.from_pretrained(tmp_path)
            alone.probes = torch.nn.ModuleList([keep])
            losses.append(alone(hidden, labels=labels).loss)
        assert not torch.equal(*losses)
        torch.testing.assert_close(detector(hidden, labels=labels).loss, torch.stack(losses).mean())


@contextmanager
def ctrl_c_when(path_pattern: str, folder: Path):
    """Press Ctrl-C once, as soon as a file of that pattern is in `folder`."""
    finished = threading.Event()

    def watch():
        while not finished.is_set():
            if next(folder.glob(path_pattern), None):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


@pytest.mark.parametrize("detector", ["separate", "trunk"])
def test_a_detector_that_was_interrupted_ends_with_the_weights_of_one_that_was_not(
    parts, benchmark, tmp_path, detector
):
    saving = {"save_strategy": "steps", "save_steps": 2.0}

    def make(name):
        recipe = recipe_of(parts, benchmark, tmp_path / name, detector=detector)
        recipe.training |= saving
        return recipe

    train_detector(make("whole"))
    with pytest.raises(KeyboardInterrupt), ctrl_c_when("checkpoint-*/trainer_state.json", tmp_path / "cut"):
        train_detector(make("cut"))
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    train_detector(make("cut"))
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def remove_rows(folder: Path, name: str) -> None:
    path = folder / "published" / name
    path.write_text(path.read_text().splitlines()[0] + "\n")


def test_what_cannot_be_trained_on_is_refused_before_anything_is_written(parts, benchmark, tmp_path):
    def refused(reason: str, **changes):
        settings = {"data_dir": benchmark, "output_dir": tmp_path / "run", **changes}
        with pytest.raises(AudioBertInputError, match=reason):
            train_detector(recipe_of(parts, **settings))
        assert not (tmp_path / "run").exists()

    empty = shutil.copytree(benchmark, tmp_path / "empty")
    for name in (ANIMAL_FILE.format("dev"), PITCH_FILE.format("dev")):
        remove_rows(empty, name)
    refused(r"_dev.csv' has a header and no rows", data_dir=empty)
    spanless = shutil.copytree(benchmark, tmp_path / "spanless")
    path = spanless / "animal_train" / ANIMAL_FILE.format("train")
    rows = list(csv.reader(path.read_text().splitlines()))
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([rows[0], *([row[0], "elsewhere", *row[2:]] for row in rows[1:])])
    refused("has a span that is in its sentence", data_dir=spanless, task="animal_sound_recognition")
    columns = shutil.copytree(benchmark, tmp_path / "columns")
    path = columns / "published" / PITCH_FILE.format("dev")
    path.write_text(path.read_text().replace("span1", "first"))
    refused(f"{path.name}.*span1", data_dir=columns)
    refused("'data_dir' is '/nowhere', which is not a folder", data_dir=Path("/nowhere"))
    refused("no task 'animals'", task="animals")
    refused("detector='both' is not known; give separate or trunk", detector="both")
    refused("probe.layer=9 is behind the last of the 2 layers", detector="trunk", probe=ProbeSettings(layer=9))
    refused("cannot read the ordinary text '/nowhere.gz'", ordinary_text=OrdinaryTextSettings(Path("/nowhere.gz")))
    refused("there is no folder '/nowhere'", language_model="/nowhere")
    refused("cannot load", language_model=str(benchmark))


def test_a_tokenizer_that_cannot_tell_characters_is_refused(parts, benchmark, tmp_path):
    folder = shutil.copytree(parts.language_model, tmp_path / "slow")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["<cls>", "<pad>", "<eos>", "<unk>", "cat", "<mask>"]))
    EsmTokenizer(vocabulary).save_pretrained(folder)
    with pytest.raises(AudioBertInputError, match=r"slow' does not tell which characters.*a fast tokenizer"):
        train_detector(recipe_of(parts, benchmark, tmp_path / "run", language_model=str(folder)))


def test_a_tokenizer_of_another_model_is_refused(parts, benchmark, tmp_path):
    folder = shutil.copytree(parts.language_model, tmp_path / "mixed")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["one", "more"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(AudioBertInputError, match=r"mixed' has \d+ tokens, but its model has \d+"):
        train_detector(recipe_of(parts, benchmark, tmp_path / "run", language_model=str(folder)))
