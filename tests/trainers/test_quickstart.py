"""The quickstart from nothing to a report, tiny; stopped and resumed; and what it refuses."""

import json
import re
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from tiny_models import SPECIAL, save_language_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, pipeline
from typer.testing import CliRunner

from audiobert import AudioBertInputError
from audiobert.cli import app
from audiobert.dataset_scripts.sample.sample_benchmark import SampleSize
from audiobert.trainers.quickstart import QuickstartRecipe, quickstart, run_quickstart


TINY = SampleSize(calls=3, pitches=8, unseen=3, variants=2, pairs=28, unseen_pairs=3, ordinary=30, practice=4)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FEW_STEPS = ["training.max_steps=2", "training.per_device_train_batch_size=4", "training.use_cpu=true"]


@pytest.fixture(scope="module")
def language_model(tmp_path_factory) -> Path:
    """A tiny BERT that can spell every word."""
    vocabulary = [*SPECIAL, "higher", "lower", *LETTERS, *(f"##{letter}" for letter in LETTERS), *".,:'-"]
    folder = save_language_model(
        tmp_path_factory.mktemp("speller"), "bert", vocab_size=len(vocabulary), max_position_embeddings=160
    )
    backend = Tokenizer(models.WordPiece({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    tokens = {f"{name}_token": token for name, token in names.items()}
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=160, **tokens).save_pretrained(folder)
    return folder


def recipe(output: Path, language_model: Path, **changes) -> QuickstartRecipe:
    overrides = {kind: list(FEW_STEPS) for kind in ("detector", "clap", "audio_encoder", "audiobert")}
    overrides["audio_encoder"] += [
        "shape.hidden_size=16",
        "shape.num_hidden_layers=1",
        "shape.num_attention_heads=2",
        "shape.intermediate_size=16",
    ]
    settings = {"output_dir": output, "language_model": str(language_model), "sample": TINY, "overrides": overrides}
    return QuickstartRecipe(**{**settings, **changes})


@pytest.fixture(scope="module")
def finished(language_model, tmp_path_factory):
    output, told = tmp_path_factory.mktemp("quickstart") / "run", []
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # so that the two models are trained at once
    try:
        results = run_quickstart(recipe(output, language_model), told.append)
    finally:
        torch.set_num_threads(before)
    assert (output / "text_only.log").exists() == (not torch.accelerator.is_available())
    return output, results, told


def test_three_models_are_measured_on_the_held_out_and_on_the_unseen_part(finished):
    output, results, _ = finished
    measured = {(entry["model"], entry["part"], entry["task"]) for entry in results["accuracy"]}
    tasks = ("animal_sound_recognition", "sound_pitch_comparison", "combined")
    assert measured == {
        (model, part, task)
        for model in ("language model", "text only", "AudioBERT")
        for part in ("held-out", "unseen")
        for task in tasks
    }
    assert len(results["accuracy"]) == 18
    assert json.loads((output / "results.json").read_text())["accuracy"] == results["accuracy"]


def test_the_saved_folder_is_what_the_stock_pipeline_loads(finished):
    _, results, _ = finished
    fill = pipeline("fill-mask", model=results["model"], trust_remote_code=True)
    assert len(fill("a [MASK] sounds.")) == 5
    # Its card asks first what it was asked here, and does not call the sample AuditoryBench.
    card = ModelCard.load(Path(results["model"]) / "README.md")
    assert [entry["text"] for entry in card.data.widget] == [answer["text"] for answer in results["answers"]]
    assert "AuditoryBench" not in {result.dataset_name for result in card.data.eval_results}


def test_the_report_stands_alone_with_every_number_player_and_picture(finished):
    output, results, _ = finished
    page = (output / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)', page)
    heard = sum(len(span["clips"]) for answer in results["answers"] for span in answer["spans"])
    assert page.count("data:audio/wav;base64,") == page.count("data:image/png;base64,") == heard
    for entry in results["accuracy"]:
        assert f"{100 * entry['accuracy']:.1f} %" in page
    assert len(results["answers"]) == 3
    for answer in results["answers"]:
        assert answer["text"] in page


def test_each_step_is_told_in_a_sentence_and_none_is_repeated(finished, language_model):
    output, results, told = finished
    assert len(told) >= 9
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in told)
    weights = output / "audiobert" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again: list[str] = []
    assert run_quickstart(recipe(output, language_model), again.append) == results
    assert sum(sentence.endswith("Done before.") for sentence in again) == len(again) == len(told) - 1
    assert weights.stat().st_mtime_ns == before


def test_after_an_interruption_it_goes_on_with_the_step_that_was_not_done(language_model, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    output = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(quickstart, "train_clap", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_quickstart(recipe(output, language_model), lambda sentence: None)
    assert (output / "detector" / "metrics.json").is_file()
    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(quickstart, "train_audio_encoder", interrupted)  # far enough to see that CLAP came next
        with pytest.raises(KeyboardInterrupt):
            run_quickstart(recipe(output, language_model), told.append)
    assert [sentence for sentence in told if not sentence.endswith("Done before.")] == told[-2:]
    assert told[-2].startswith("Training CLAP")


def test_a_folder_of_another_run_or_of_something_else_is_refused(finished, language_model, tmp_path):
    output = finished[0]
    with pytest.raises(AudioBertInputError, match=r"holds a quickstart with another seed.*--output"):
        run_quickstart(recipe(output, language_model, seed=1))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AudioBertInputError, match=r"not of a quickstart.*--output"):
        run_quickstart(recipe(tmp_path, language_model))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_without_the_starter_nothing_is_written_and_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["quickstart", "--output", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert 'pip install "audiobert[starter]"' in result.output
    assert not (tmp_path / "run").exists()


def test_the_help_says_what_it_does_and_shows_an_example():
    result = CliRunner().invoke(app, ["quickstart", "--help"])
    assert result.exit_code == 0
    for word in ("offline", "--language-model", "--seed", "--output", "Example: audiobert quickstart"):
        assert word in result.output
