"""`audiobert evaluate --ablations` and `audiobert compare`, as a user meets them."""

import json

import pytest
from hearing_model import save_hearing_model
from tiny_benchmark import write_benchmark
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.trainers.comparison import names_of_row
from audiobert.trainers.evaluation_results import load_results
from audiobert.trainers.hearing_settings import SETTINGS


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def world(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablations")
    return save_hearing_model(parts, folder), parts.language_model, write_benchmark(folder / "benchmark"), folder


@pytest.fixture(scope="module")
def ablations(world):
    model, other, benchmark, folder = world
    arguments = ("evaluate", model, "--data-dir", benchmark, "--ablations", "--text-only", other, "--out")
    result = run(*arguments, folder / "ablations.json", "--language-model", folder / "language_model")
    assert result.exit_code == 0, result.stderr
    return result.stdout, folder / "ablations.json"


def test_ablations_stand_beside_each_other_with_paired_tests(ablations):
    printed, path = ablations
    results = load_results(path)
    names = [*SETTINGS, "text-only", "language-model"]
    assert list(dict.fromkeys(result["hearing"] for result in results["results"])) == names
    assert list(dict.fromkeys(entry["hearing"] for entry in results["predictions"])) == names
    assert set(results["models"]) == {"text-only", "language-model"}
    pairs = [tuple(one["settings"]) for one in results["comparisons"] if one["task"] == "combined"]
    assert pairs == [("on", name) for name in names if name != "on"]
    accuracies = {
        result["hearing"]: result["accuracy"] for result in results["results"] if result["task"] == "combined"
    }
    assert accuracies["language-model"] == accuracies["off"]  # it was made from this language model
    for one in results["comparisons"]:
        if one["task"] == "combined":
            assert (one["first"], one["second"]) == tuple(accuracies[name] for name in one["settings"])
            assert 0 < one["p"] <= 1
            assert 0 < one["mcnemar"]["p"] <= 1
    assert f"on {100 * accuracies['on']:.2f} %, text-only {100 * accuracies['text-only']:.2f} %" in printed


def test_compare_prints_and_saves_what_the_ablations_found(ablations, tmp_path):
    _, path = ablations
    arguments = ("compare", path, path, "--against-hearing", "random")
    result = run(*arguments, "--json", "--out", tmp_path / "compared.json")
    assert result.exit_code == 0, result.stderr
    compared = json.loads(result.stdout)
    assert compared == json.loads((tmp_path / "compared.json").read_text())
    found = [one for one in load_results(path)["comparisons"] if one["settings"] == ["on", "random"]]
    assert compared["comparisons"] == [{name: one[name] for name in one if name != "settings"} for one in found]
    printed = run(*arguments).stdout
    assert "hearing random" in printed
    assert f"bootstrap p {compared['comparisons'][-1]['p']:.4g}" in printed


def test_several_seeds_of_both_sides_are_pooled(ablations):
    _, path = ablations
    result = run("compare", path, path, "--against", path, "--against", path, "--against-hearing", "off", "--json")
    assert result.exit_code == 0, result.stderr
    assert [len(json.loads(result.stdout)[side]["models"]) for side in ("first", "second")] == [2, 2]
    assert json.loads(result.stdout)["comparisons"][0]["mcnemar"] is None


def test_rows_that_share_sounds_are_taken_for_dependent(world, ablations, tmp_path):
    _, _, benchmark, _ = world
    _, path = ablations
    arguments = ("compare", path, path, "--against-hearing", "random", "--clustered", "--data-dir")
    result = run(*arguments, benchmark, "--json")
    assert result.exit_code == 0, result.stderr
    compared = json.loads(result.stdout)
    assert (compared["clustered"], compared["resamples"]) == (True, None)
    for one in compared["comparisons"]:
        shared = set().union(*map(names_of_row, load_auditorybench(one["task"], one["split"], benchmark)))
        assert one["names"] == len(shared)
        assert one["mcnemar"] is None
    animal, pitch, combined = compared["comparisons"]
    assert animal["p"] is not None
    assert pitch["p"] is None  # of 6 instruments
    printed = run(*arguments, benchmark).stdout
    assert f"clustered p {combined['p']:.4g} ({combined['names']} names)" in printed
    assert "(only 6 names: too few to test)" in printed


def test_other_rows_than_those_asked_are_refused(world, ablations, tmp_path):
    _, _, benchmark, _ = world
    _, path = ablations
    arguments = ("compare", path, path, "--against-hearing", "random")
    other = write_benchmark(tmp_path / "other")
    file = next(other.rglob("*test*.csv"))
    file.write_text(file.read_text().replace("sound", "noise"))
    for wrong, why in (
        (("--clustered", "--data-dir", other), "are not those that"),
        (("--data-dir", benchmark), "--data-dir is for --clustered"),
    ):
        refused = run(*arguments, *wrong)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert why in " ".join(refused.stderr.split())


def test_what_cannot_be_compared_is_one_line(world, ablations, tmp_path):
    model, other, benchmark, _ = world
    _, path = ablations

    def refused(*arguments) -> str:
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        return " ".join(result.stderr.split())

    assert "1 files are given; name two" in refused("compare", path)
    assert "cannot read '/nowhere.json'" in refused("compare", path, "/nowhere.json")
    (tmp_path / "old.json").write_text(json.dumps({"kind": "evaluation", "results": []}))
    assert "is a results file of format 1" in refused("compare", path, tmp_path / "old.json")
    assert "have no hearing 'loud'" in refused("compare", path, path, "--hearing", "loud")
    ablation = ("evaluate", other, "--data-dir", benchmark, "--ablations")
    assert "is no AudioBERT, so there is no hearing to vary" in refused(*ablation)
    assert "must not hear" in refused("evaluate", model, "--data-dir", benchmark, "--ablations", "--text-only", model)
    assert "add it" in refused("evaluate", model, "--data-dir", benchmark, "--text-only", other)
