"""Measuring any CLAP on clips that it was not trained on, in Python and by the command."""

import csv
import json
import shutil

import pytest
from tiny_models import save_clap
from tiny_sounds import write_clips, write_manifest
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.clap_evaluation import evaluate_clap
from audiobert.trainers.clap_recipe import ClapRecipe
from audiobert.trainers.recipe import save_recipe


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Twelve clips of three labels, those of the third in a source of their own."""
    path = write_clips(tmp_path_factory.mktemp("clips"), per_label=4)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return write_manifest(path.parent, [row | {"source": "sky" if row["label"] == "rain" else "room"} for row in rows])


@pytest.fixture(scope="module", params=["unfused", "fused"])
def clap(request, tmp_path_factory):
    return save_clap(tmp_path_factory.mktemp("clap") / request.param, fused=request.param == "fused")


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", "clap", *map(str, arguments)])


def test_numbers_depend_on_neither_the_batch_nor_the_clips_order(clap, manifest, tmp_path):
    whole = evaluate_clap(clap, manifest)
    assert evaluate_clap(clap, manifest, batch_size=1)["parts"]["all"] == pytest.approx(whole["parts"]["all"])
    with manifest.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    folder = shutil.copytree(manifest.parent, tmp_path / "reversed")
    backwards = evaluate_clap(clap, write_manifest(folder, rows[::-1]))
    assert backwards["parts"]["all"] == pytest.approx(whole["parts"]["all"])
    assert backwards["model"] == whole["model"]


def test_a_model_without_a_recipe_is_measured_on_all_clips(clap, manifest):
    results = evaluate_clap(clap, manifest)
    assert list(results["parts"]) == ["all"]
    found = results["parts"]["all"]
    assert (found["text_to_audio_queries"], found["text_to_audio_candidates"]) == (3, 12)
    assert (found["audio_to_text_queries"], found["audio_to_text_candidates"]) == (12, 3)
    assert found["text_to_audio_chance_recall@1"] == found["audio_to_text_chance_recall@1"] == pytest.approx(1 / 3)
    assert found["audio_to_text_recall@5"] == 1.0, "there are only three captions"
    assert results["clips"]["all"]["count"] == 12
    assert results["clips"]["all"]["licences of the clips"] == {"CC0": 12}
    with pytest.raises(AudioBertInputError, match=r"holds no recipe.yaml .*--all"):
        evaluate_clap(clap, manifest, held_out=True)


def test_a_trained_model_is_measured_on_what_its_recipe_held_out(parts, manifest, tmp_path):
    folder = shutil.copytree(parts.clap, tmp_path / "clap")
    save_recipe(ClapRecipe(validation_share=0.5, seeds=[1], held_out_sources=["sky"]), folder)
    results = evaluate_clap(folder, manifest)
    assert list(results["parts"]) == ["held_out_recordings", "held_out_sources"]
    counts = {name: part["count"] for name, part in results["clips"].items()}
    assert counts["held_out_sources"] == 4
    assert 0 < counts["held_out_recordings"] < 8
    assert results["parts"]["held_out_sources"]["text_to_audio_queries"] == 1
    assert list(evaluate_clap(folder, manifest, held_out=False)["parts"]) == ["all"]
    save_recipe(ClapRecipe(validation_share=0.0), folder)
    with pytest.raises(AudioBertInputError, match=r"holds none of the 12 clips .*--all"):
        evaluate_clap(folder, manifest)


def test_the_command_prints_and_saves_the_same_numbers(parts, manifest, tmp_path):
    result = run(parts.clap, "--clips", manifest, "--json", "--out", tmp_path / "clap.json")
    assert result.exit_code == 0, result.stderr
    results = json.loads(result.stdout)
    assert results == json.loads((tmp_path / "clap.json").read_text())
    found = results["parts"]["all"]
    lines = run(parts.clap, "--clips", manifest).stdout.splitlines()
    assert lines[0] == "all: 12 clips"
    for line, direction in zip(lines[2:4], ("text_to_audio", "audio_to_text"), strict=True):
        shown = line.split()[3:]
        names = ("recall@1", "recall@5", "recall@10", "map@10")
        assert shown[:4] == [f"{100 * found[f'{direction}_{name}']:.2f}" for name in names]
        assert float(shown[4]) == found[f"{direction}_median_rank"]
    assert f"precision@5 {100 * found['label_precision@5']:.2f}" in lines[4]


def test_a_mistake_is_one_line_and_nothing_is_written(parts, manifest, tmp_path):
    out = tmp_path / "clap.json"
    uncaptioned = write_manifest(manifest.parent, [{"id": "a", "path": "hum/0.wav"}], "uncaptioned.csv")
    for arguments, reason in (
        ((parts.audio_encoder, "--clips", manifest), "model_type"),
        ((parts.clap, "--clips", tmp_path / "nowhere"), "there is no clip source"),
        ((parts.clap, "--clips", uncaptioned), "clip 'a' of"),
        ((parts.clap, "--clips", manifest, "--query", "sound"), "does not contain {span}"),
        ((parts.clap, "--clips", manifest, "--held-out"), "holds no recipe.yaml"),
    ):
        result = run(*arguments, "--out", out)
        assert result.exit_code == 2, result.output
        assert reason in next(line for line in result.stderr.splitlines() if line.startswith("audiobert: "))
        assert not out.exists()
