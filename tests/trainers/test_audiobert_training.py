"""Training from parts to a saved model, stopping and resuming, and the commands around it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tiny_bank import random_bank, write_sounds
from tiny_benchmark import ANIMAL_FILE, write_benchmark
from tiny_models import save_language_model, save_trunk_detector
from transformers import AutoTokenizer, TrainerCallback
from typer.testing import CliRunner

from audiobert import AudioBertForMaskedLM, AudioBertInputError, TrunkDetector
from audiobert.cli import app
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.trainers import audiobert_trainer, audiobert_training
from audiobert.trainers.audiobert_training import AudioBertRecipe, train_audiobert
from audiobert.trainers.learning_rates import LearningRates
from audiobert.trainers.prediction import fill_masks
from audiobert.trainers.recipe import load_recipe, save_recipe


@pytest.fixture(scope="module")
def inputs(parts, tmp_path_factory) -> dict:
    """Settings of a recipe whose files all exist: benchmark, bank and sounds."""
    folder = tmp_path_factory.mktemp("inputs")
    model = AudioBertForMaskedLM.from_parts(parts.language_model, parts.span_detector, parts.clap, parts.audio_encoder)
    random_bank(model).save(folder / "bank")
    return {
        "data_dir": write_benchmark(folder / "benchmark"),
        "audio_dir": write_sounds(folder / "clips"),
        "bank": str(folder / "bank"),
        "language_model": str(parts.language_model),
        "span_detector": str(parts.span_detector),
        "clap": str(parts.clap),
        "audio_encoder": str(parts.audio_encoder),
        "feature_cache": folder / "features",
    }


def recipe(inputs: dict, output_dir: Path, **changes) -> AudioBertRecipe:
    training = {"max_steps": 4, "per_device_train_batch_size": 8, "learning_rate": 1e-2, "use_cpu": True}
    training |= {"save_strategy": "steps", "save_steps": 2, "dataloader_num_workers": 0}
    settings = {**inputs, "output_dir": output_dir, "training": training | changes.pop("training", {})}
    return AudioBertRecipe(**{**settings, **changes})


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("run") / "audiobert"
    (metrics,) = train_audiobert(recipe(inputs, folder))
    return folder, metrics


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_training_moves_what_it_should_and_saves_a_model_that_hears(inputs, trained):
    folder, metrics = trained
    before = AudioBertForMaskedLM.from_parts(
        inputs["language_model"], inputs["span_detector"], inputs["clap"], inputs["audio_encoder"]
    )
    after = AudioBertForMaskedLM.from_pretrained(folder)
    frozen = {name for name, weight in before.named_parameters() if not weight.requires_grad}
    old, new = before.state_dict(), after.state_dict()
    assert len(frozen) > 20
    assert all(torch.equal(old[name], new[name]) for name in frozen)
    assert all(new[name].any() for name in new if "lora_B" in name)
    assert not torch.equal(old["audio_encoder.embeddings.cls_token"], new["audio_encoder.embeddings.cls_token"])
    assert metrics["rows"] == {"train": 42, "validation": 42}
    assert metrics["bank"]["key_source"] == "audio"
    assert [(result["task"], result["hearing"]) for result in metrics["validation"]] == [
        (task, hearing)
        for hearing in ("on", "off")
        for task in ("animal_sound_recognition", "sound_pitch_comparison", "combined")
    ]
    assert json.loads((folder / "metrics.json").read_text()) == metrics


def test_the_card_tells_the_run_and_its_results_by_metadata_too(inputs, trained):
    folder, metrics = trained
    card = ModelCard.load(folder / "README.md")
    told = {(result.dataset_config, result.metric_name): result.metric_value for result in card.data.eval_results}
    assert told == {
        (result["task"], f"accuracy (answer length given), hearing {result['hearing']}"): round(result["accuracy"], 4)
        for result in metrics["validation"]
    }
    # The test's own sentences are not called AuditoryBench.
    assert {result.dataset_name for result in card.data.eval_results} == {
        f"rows of '{Path(inputs['data_dir']).name}', in AuditoryBench's form"
    }
    assert "| CC0 | 5 |" in card.text
    assert "- steps: 4" in card.text
    assert f"- hardware: {metrics['hardware']}" in card.text
    assert "- CO2: not recorded" in card.text
    assert card.data.base_model is None  # a folder of this machine is no base model on the Hub
    assert str(Path(inputs["data_dir"]).parent) not in card.content


def test_the_banks_values_are_those_of_the_trained_encoder(trained):
    from audiobert.trainers.audio_features import ast_features
    from audiobert.trainers.audio_loading import load_audio

    folder, _ = trained
    model = AudioBertForMaskedLM.from_pretrained(folder)
    extractor = model.retriever.feature_extractor
    sounds = Path(load_recipe(AudioBertRecipe, folder / "recipe.yaml").audio_dir)
    features = [ast_features(load_audio(sounds / f"clip-{i}.wav", 16000), extractor) for i in range(5)]
    with torch.no_grad():
        torch.testing.assert_close(model.bank.values, model.encode_audio(torch.stack(features)), atol=1e-5, rtol=1e-4)


def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(inputs, trained, tmp_path, monkeypatch):
    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3:
                raise KeyboardInterrupt

    class Interrupted(audiobert_trainer.AudioBertTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.add_callback(Interrupt())

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("audiobert.trainers.audiobert_training.AudioBertTrainer", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_audiobert(recipe(inputs, folder))
    assert (folder / "checkpoint-2").is_dir()
    assert not (folder / "model.safetensors").exists()
    (metrics,) = train_audiobert(recipe(inputs, folder))
    straight, resumed = weights(trained[0]), weights(folder)
    assert metrics["steps"] == 4
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_it_trains_with_a_trunk_detector_which_stays_as_it_is(inputs, parts, tmp_path):
    detector = save_trunk_detector(tmp_path / "detector", parts.language_model, detector_threshold=0.4)
    (metrics,) = train_audiobert(recipe(inputs, tmp_path / "run", span_detector=str(detector)))
    model = AudioBertForMaskedLM.from_pretrained(tmp_path / "run")
    assert (model.config.detector, model.config.detector_threshold) == ("trunk", 0.4)
    before, after = TrunkDetector.from_pretrained(detector).state_dict(), model.span_detector.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(weight.any() for name, weight in model.named_parameters() if "lora_B" in name)
    assert {result["hearing"] for result in metrics["validation"]} == {"on", "off"}
    assert "audiobert_trunk_detector" in (tmp_path / "run" / "README.md").read_text()


def test_a_clean_train_split_leaves_out_the_sentences_of_other_splits(inputs, tmp_path):
    folder = shutil.copytree(inputs["data_dir"], tmp_path / "leaky")
    test, train = (folder / "published" / f"sound_pitch_comparsion_{split}.csv" for split in ("test", "train"))
    copied = test.read_text(encoding="utf-8").splitlines(keepends=True)[1:4]
    with train.open("a", encoding="utf-8", newline="") as stream:
        stream.writelines(copied)
    rows = {}
    for clean in (False, True):
        settings = {"data_dir": folder, "clean_train": clean, "hearing": "text_only", "training": {"max_steps": 1}}
        (metrics,) = train_audiobert(recipe(inputs, tmp_path / str(clean), **settings))
        rows[clean] = metrics["rows"]["train"]
    assert rows[False] - rows[True] == len(copied) == 3


def test_lessons_are_further_rows_of_which_alone_names_are_hidden(inputs, tmp_path, monkeypatch):
    trained_on = []

    class Noted(audiobert_trainer.AudioBertTrainer):
        def __init__(self, *args, train_dataset, **kwargs):
            trained_on.append(train_dataset)
            super().__init__(*args, train_dataset=train_dataset, **kwargs)

    monkeypatch.setattr(audiobert_training, "AudioBertTrainer", Noted)
    rows = load_auditorybench("sound_pitch_comparison", "train", inputs["data_dir"]).select(range(5))
    lessons = tmp_path / "lessons.parquet"
    rows.to_parquet(lessons)
    settings = {"lessons": lessons, "training": {"max_steps": 1}, "train_audio_encoder": False}
    metrics = {}
    for name, changes in {
        "without": {"lessons": None},
        "with": {"hidden_names": 1.0},
        "exchanged": {"counterfactuals": 1},
        "text alone": {"hearing": "text_only"},
    }.items():
        (metrics[name],) = train_audiobert(recipe(inputs, tmp_path / name, **{**settings, **changes}))
    without, hidden, _ = trained_on
    assert hidden[:-5] == without
    mask = AutoTokenizer.from_pretrained(inputs["language_model"]).mask_token_id
    assert all(row.input_ids.count(mask) > sum(label != -100 for label in row.labels) for row in hidden[-5:])
    counts = {name: found["rows"]["train"] for name, found in metrics.items()}
    assert counts["with"] == counts["text alone"] == counts["without"] + 5
    assert counts["exchanged"] == counts["without"] + 10
    assert set(metrics["with"]["data_sha256"]) == {"train", "validation", "lessons"}
    assert metrics["with"]["data"]["lessons"] == "rows of 'lessons.parquet', in AuditoryBench's form"


def test_with_a_frozen_encoder_the_banks_values_stay(inputs, tmp_path):
    train_audiobert(recipe(inputs, tmp_path / "run", train_audio_encoder=False, audio_dir=None))
    model = AudioBertForMaskedLM.from_pretrained(tmp_path / "run")
    from audiobert import AudioBank

    assert torch.equal(model.bank.values, AudioBank.load(inputs["bank"]).values)
    fresh = AudioBertForMaskedLM.from_parts(
        inputs["language_model"], inputs["span_detector"], inputs["clap"], inputs["audio_encoder"]
    )
    old, new = fresh.audio_encoder.state_dict(), model.audio_encoder.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_dir": None}, "'data_dir' is not set"),
        ({"audio_dir": Path("nowhere")}, "'audio_dir' is 'nowhere', which is not a folder"),
        ({"bank": None}, "'bank' is not set"),
        ({"bank": "nowhere/at/all"}, "no audio bank at 'nowhere/at/all'"),
        ({"span_detector": "nowhere/at/all"}, "nowhere/at/all"),
        ({"model": {"min_similarity": 1.0}}, "has no clip for any span of the train split"),
        ({"model": {"injection": "ad"}}, "injection='ad' is not known"),
        ({"seeds": []}, "the recipe's seeds are"),
        ({"trainer": "fast"}, "trainer=fast is not known; give standard or gaudi"),
        ({"trainer": "gaudi", "hearing": "text_only"}, "trains with trainer=standard"),
        ({"learning_rates": LearningRates(projection=-1.0)}, "learning_rates.projection is -1.0"),
        ({"counterfactual_share": 1.5}, "counterfactual_share=1.5 is no share; give a number from 0 to 1"),
        ({"hidden_names": -0.1}, "hidden_names=-0.1 is no share"),
        ({"lessons": Path("nowhere.parquet")}, "'lessons' is 'nowhere.parquet', which is not a file"),
    ],
    ids=[
        *("data", "audio", "no bank", "bank", "detector", "nothing heard", "injection", "seeds"),
        *("trainer", "text on gaudi", "learning rate", "share", "names", "lessons"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_trained(inputs, tmp_path, changes, message):
    with pytest.raises(AudioBertInputError, match=message):
        train_audiobert(recipe(inputs, tmp_path / "run", **changes))
    assert not list(tmp_path.rglob("*.safetensors"))


def _one_answer(folder: Path) -> str:
    path = folder / "animal_train" / ANIMAL_FILE.format("train")
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row for row in rows if row.startswith("cat,"))]) + "\n")
    return r"every answer of the train split in '.*' is 'cat'"


def _no_rows(folder: Path) -> str:
    path = folder / "published" / ANIMAL_FILE.format("dev")
    path.write_text(path.read_text().splitlines()[0] + "\n")
    return r"animal_sound_recognition_dev.csv' has a header and no rows"


@pytest.mark.parametrize("write", [_one_answer, _no_rows], ids=["one answer", "empty split"])
def test_rows_that_teach_nothing_are_refused(inputs, tmp_path, write):
    benchmark = write_benchmark(tmp_path / "benchmark")
    message = write(benchmark)
    changes = {"data_dir": benchmark, "task": "animal_sound_recognition"}
    with pytest.raises(AudioBertInputError, match=message):
        train_audiobert(recipe(inputs, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_language_model_without_a_mask_or_with_a_strangers_tokenizer_is_refused(inputs, parts, tmp_path):
    maskless = shutil.copytree(parts.language_model, tmp_path / "maskless")
    tokenizer = AutoTokenizer.from_pretrained(maskless)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(maskless)
    with pytest.raises(AudioBertInputError, match=r"maskless' has no mask token; give a masked language model"):
        train_audiobert(recipe(inputs, tmp_path / "run", language_model=str(maskless)))
    strange = save_language_model(tmp_path / "strange", "bert", vocab_size=200)
    with pytest.raises(AudioBertInputError, match=r"tokenizer of '.*strange' has \d+ tokens, but its model has 200"):
        train_audiobert(recipe(inputs, tmp_path / "run", language_model=str(strange)))
    assert not list((tmp_path / "run").rglob("*.safetensors"))


HABANA = importlib.util.find_spec("optimum") is not None and importlib.util.find_spec("optimum.habana") is not None


@pytest.mark.skipif(HABANA, reason="optimum-habana is in this environment")
def test_the_gaudi_trainer_is_asked_for_by_the_recipe_and_its_absence_told(inputs, tmp_path):
    with pytest.raises(AudioBertInputError, match=r"needs optimum-habana.*pip install \"audiobert\[gaudi\]\""):
        train_audiobert(recipe(inputs, tmp_path / "run", trainer="gaudi"))


@pytest.mark.skipif(not HABANA, reason="optimum-habana is not in this environment: make test-gaudi has it")
def test_a_recipe_trains_with_the_gaudi_trainer_on_the_cpu(inputs, tmp_path):
    training = {"max_steps": 2, "bf16": True}
    chosen = recipe(inputs, tmp_path / "run", trainer="gaudi", gaudi={"use_habana": False}, training=training)
    (metrics,) = train_audiobert(chosen)
    assert metrics["steps"] == 2
    assert (tmp_path / "run" / "checkpoint-2" / "gaudi_config.json").is_file()
    model = AudioBertForMaskedLM.from_pretrained(tmp_path / "run")
    assert all(weight.any() for name, weight in model.named_parameters() if "lora_B" in name)
    assert load_recipe(AudioBertRecipe, tmp_path / "run" / "recipe.yaml").trainer == "gaudi"
    assert "ACCELERATE_MIXED_PRECISION" not in os.environ


def test_masks_are_filled_with_evidence(trained):
    answers = fill_masks(trained[0], ["meow is the sound a [MASK] makes", "the [MASK] [MASK]"], top_k=3)
    assert [len(answer["predictions"]) for answer in answers] == [1, 2]
    assert [len(mask) for answer in answers for mask in answer["predictions"]] == [3, 3, 3]
    assert answers[0]["text"] == "meow is the sound a [MASK] makes"


def run_command(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from audiobert.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_commands_train_and_answer(inputs, tmp_path):
    save_recipe(recipe(inputs, tmp_path / "run"), tmp_path)
    done = run_command("train", "audiobert", "--config", tmp_path / "recipe.yaml", "training.max_steps=1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["steps"] == 1
    answered = run_command("fill-mask", tmp_path / "run", "a [MASK] makes a meow", "--top-k", 2, "--json")
    assert answered.returncode == 0, answered.stderr
    (answer,) = json.loads(answered.stdout)
    assert len(answer["predictions"][0]) == len(answer["hearing_off"][0]) == 2
    shown = CliRunner().invoke(app, ["fill-mask", str(tmp_path / "run"), "a [MASK] makes a meow"])
    assert "hearing on" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("{run}", "no gap here"), "has no [MASK]"),
        (("{run}", "a [MASK] " + "meow " * 80), "the model reads 64"),
        (("/nowhere", "a [MASK]"), "/nowhere"),
        (("{language_model}", "a [MASK]"), "is a bert model, which does not hear"),
    ],
    ids=["no mask", "too long", "no model", "another model"],
)
def test_bad_input_gets_one_line_and_exit_code_2(inputs, trained, arguments, reason):
    places = {"run": trained[0], "language_model": inputs["language_model"]}
    done = CliRunner().invoke(app, ["fill-mask", *(argument.format(**places) for argument in arguments)])
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("audiobert: ")]
    assert reason in line
    assert isinstance(done.exception, SystemExit)  # and no traceback
