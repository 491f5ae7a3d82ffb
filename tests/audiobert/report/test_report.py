"""A report as a user gets it: what is in it, what is left out and why, and what is refused."""

import json
import sys

import pytest
from PIL import Image
from results_file import animal_rows, pitch_rows, right, right_below, save_evaluation, wrong
from tiny_benchmark import write_benchmark
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.report import ReportOptions, write_report


pytest.importorskip("matplotlib", reason='matplotlib is missing: pip install "audiobert[report]"')
ROWS = animal_rows(40) + pitch_rows(40)


def table_line(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")][:1]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def training(tmp_path):
    """The folder of a training that has ended, with what its last checkpoint logged."""
    folder = tmp_path / "runs" / "audiobert"
    (folder / "checkpoint-40").mkdir(parents=True)
    history = [{"step": 20, "loss": 2.0}, {"step": 40, "loss": 1.25}, {"step": 40, "eval_loss": 1.5}]
    (folder / "checkpoint-40" / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    (folder / "metrics.json").write_text(json.dumps({"kind": "audiobert", "seed": 3, "steps": 40}))
    return folder


def test_seeds_of_one_model_become_mean_and_deviation(tmp_path):
    for seed, count in ((0, 10), (1, 20), (2, 30)):
        save_evaluation(
            tmp_path / f"{seed}.json", f"runs/hears/seed-{seed}", ROWS, {"on": right_below(count), "off": wrong}
        )
    base = save_evaluation(tmp_path / "base.json", "models/bert", ROWS, {None: right_below(5)})
    sources = [str(base), *(str(tmp_path / f"{seed}.json") for seed in range(3))]
    facts = write_report(sources, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "|  | animal test | pitch test | combined test |" in text
    assert table_line(text, "bert") == ["bert", "12.50", "0.00", "6.25"]
    # 25, 50 and 75 % of animal rows; of all rows 12.5, 25 and 37.5 %.
    assert table_line(text, "hears, hearing on") == [
        "hears, hearing on", "50.00 ± 25.00", "0.00 ± 0.00", "25.00 ± 12.50"
    ]  # fmt: skip
    (combined,) = [
        entry for entry in facts["accuracy"] if (entry["name"], entry["task"]) == ("bert", "combined")
    ]  # fmt: skip
    assert combined["mean"] == pytest.approx(6.25)
    assert combined["deviation"] is None
    assert "`runs/hears/seed-1`" in text  # every run by itself, too
    assert "| hears, hearing on | bert | combined test | 80 | 25.00 | 6.25 | +18.75" in text


def test_names_that_are_given_count_as_seeds_of_one(tmp_path):
    for number, count in enumerate((10, 20)):
        save_evaluation(tmp_path / f"{number}.json", f"elsewhere/{number}/final", ROWS, {None: right_below(count)})
    write_report([f"text only={tmp_path / '0.json'}", f"text only={tmp_path / '1.json'}"], tmp_path / "report")
    line = table_line((tmp_path / "report" / "report.md").read_text("utf-8"), "text only")
    assert line[1] == "37.50 ± 17.68"


def test_models_of_one_name_in_different_folders_are_told_apart(tmp_path):
    for place in ("a", "b"):
        save_evaluation(tmp_path / f"{place}.json", f"{place}/model", ROWS, {None: right})
    facts = write_report([str(tmp_path / "a.json"), str(tmp_path / "b.json")], tmp_path / "report")
    assert {entry["name"] for entry in facts["accuracy"]} == {"a/model", "b/model"}


def test_published_figures_stand_beside_published_rows_only(tmp_path):
    small = save_evaluation(tmp_path / "small.json", "bert", ROWS, {None: right})
    write_report([str(small)], tmp_path / "small")
    text = (tmp_path / "small" / "report.md").read_text("utf-8")
    assert "published:" not in text
    assert "not the published rows" in text
    full = save_evaluation(tmp_path / "full.json", "bert", animal_rows(1211) + pitch_rows(2387), {None: right})
    write_report([str(full)], tmp_path / "full")
    text = (tmp_path / "full" / "report.md").read_text("utf-8")
    assert table_line(text, "*published: BERT-base* (a)")[-1] == "44.61"
    assert table_line(text, "*published: AudioBERT of BERT-base* (a)")[-1] == "61.97"
    assert "(a) arXiv 2409.08199, Table III" in text


def test_protocols_have_tables_of_their_own_and_are_told_apart_everywhere(tmp_path):
    answers = {"on": right_below(20), "off": wrong}
    given = save_evaluation(tmp_path / "given.json", "hears", ROWS, answers)
    free = save_evaluation(tmp_path / "free.json", "hears", ROWS, {"on": right_below(10), "off": wrong})
    free.write_text(free.read_text("utf-8").replace("answer length given", "answer length not given"), "utf-8")
    facts = write_report([str(given), str(free)], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert table_line(text, "hears, hearing on (answer length given)")[1] == "50.00"
    assert table_line(text, "hears, hearing on (answer length not given)")[1] == "25.00"
    assert len(facts["by_similarity"]["test"]["animal"]) == 4
    assert {test["difference"] for test in facts["comparisons"] if test["task"] == "combined"} == {0.25, 0.125}


def test_what_is_missing_is_left_out_and_said(tmp_path, training):
    only_results = save_evaluation(tmp_path / "r.json", "hears", ROWS, {"on": right, "off": wrong})
    left_out = write_report([str(only_results)], tmp_path / "one")["left_out"]
    assert set(left_out) == {
        "Span detection (Table II)",
        "Accuracy by how often the answer is in the train split",
        "Where hearing changed the answer",
        "Trainings and their learning curves",
    }
    assert "--data-dir" in left_out["Where hearing changed the answer"]
    text = (tmp_path / "one" / "report.md").read_text("utf-8")
    for reason in left_out.values():
        assert reason[1:] in text
    facts = write_report([str(training)], tmp_path / "two")
    assert {"Accuracy (Table III)", "Does hearing matter?"} < set(facts["left_out"])
    assert facts["files"] == ["learning_curves.png", "report.json", "report.md"]


def test_losses_are_drawn_and_a_run_without_checkpoints_is_named(tmp_path, training):
    bare = tmp_path / "runs" / "bare"
    bare.mkdir()
    (bare / "metrics.json").write_text(json.dumps({"kind": "clap", "seed": 0}))
    facts = write_report([str(training), str(bare)], tmp_path / "report")
    assert facts["trainings"][0]["loss"] == [(20, 2.0), (40, 1.25)]
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert f"no checkpoint was kept: {bare}" in text
    assert table_line(text, "audiobert")[1:6] == ["audiobert", "3", "40", "not recorded", "1.2500"]
    with Image.open(tmp_path / "report" / "learning_curves.png") as picture:
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 20)) > 20


def test_folders_of_several_seeds_are_read_with_the_table_of_their_detectors(tmp_path):
    folder = tmp_path / "detector"
    for seed in (0, 1):
        (folder / f"seed-{seed}").mkdir(parents=True)
        (folder / f"seed-{seed}" / "metrics.json").write_text(json.dumps({"kind": "detector", "seed": seed}))
    score = {"detector": "mine", "seeds": 2, "rows": "all", "metric": "weighted_f1", "task": "combined"}
    scores = [{**score, "split": "test", "mean": 94.5, "deviation": 0.1}]
    (folder / "table2.json").write_text(json.dumps({"scores": scores, "paper": [], "ordinary_text": []}))
    facts = write_report([str(folder)], tmp_path / "report")
    assert [run["name"] for run in facts["trainings"]] == ["detector", "detector"]
    assert "94.50 ± 0.10" in (tmp_path / "report" / "report.md").read_text("utf-8")


def test_results_of_other_rows_are_not_mixed(tmp_path):
    one = save_evaluation(tmp_path / "one.json", "a", ROWS, {None: right})
    fewer = save_evaluation(tmp_path / "fewer.json", "b", ROWS[:-1], {None: right})
    with pytest.raises(AudioBertInputError, match=r"fewer.json' \(39 rows\) and '.*one.json' \(40 rows\)"):
        write_report([str(one), str(fewer)], tmp_path / "report")
    other = save_evaluation(tmp_path / "other.json", "b", ROWS, {None: right}, digest="of other sentences")
    with pytest.raises(AudioBertInputError, match=r"other.json' and '.*one.json' .*different sentences of test"):
        write_report([str(one), str(other)], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_one_figure_is_not_given_twice(tmp_path):
    for name in ("one", "again"):
        save_evaluation(tmp_path / f"{name}.json", "a", ROWS, {None: right})
    with pytest.raises(AudioBertInputError, match=r"again.json' and '.*one.json' both measured 'a' on test.*one out"):
        write_report([str(tmp_path / "one.json"), str(tmp_path / "again.json")], tmp_path / "report")


def test_what_is_no_result_is_refused(tmp_path):
    old = save_evaluation(tmp_path / "old.json", "a", ROWS, {None: right})
    old.write_text(old.read_text("utf-8").replace('"format": 2', '"format": 1'), "utf-8")
    (tmp_path / "else.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    refused = {
        str(old): "old.json' is a results file of format 1",
        str(tmp_path / "else.json"): "else.json' is not a results file",
        str(tmp_path / "nowhere.json"): "cannot read '.*nowhere.json'",
        str(tmp_path / "empty"): "empty' is not the folder of a training that has ended",
    }
    for source, reason in refused.items():
        with pytest.raises(AudioBertInputError, match=reason):
            write_report([source], tmp_path / "report")
    with pytest.raises(AudioBertInputError, match="nothing to report on"):
        write_report([], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_rows_of_another_benchmark_are_not_shown_as_those_that_were_asked(tmp_path):
    benchmark = write_benchmark(tmp_path / "benchmark")
    results = save_evaluation(tmp_path / "r.json", "hears", ROWS, {"on": right, "off": wrong})
    with pytest.raises(
        AudioBertInputError, match=r"benchmark' holds other rows than 'hears' was measured on: row 'asr"
    ):
        write_report([str(results)], tmp_path / "report", ReportOptions(data_dir=benchmark))


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    results = save_evaluation(tmp_path / "r.json", "a", ROWS, {None: right})
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(AudioBertInputError, match=r'pip install "audiobert\[report\]"'):
        write_report([str(results)], tmp_path / "report")


def test_the_command_prints_files_reasons_and_json(tmp_path):
    results = save_evaluation(tmp_path / "r.json", "hears", ROWS, {"on": right, "off": wrong})
    arguments = ["report", str(results), "--out", str(tmp_path / "report")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "similarity_test.png" in shown.stdout
    assert "Where hearing changed the answer: left out" in shown.stdout
    facts = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert facts["files"] == sorted(path.name for path in (tmp_path / "report").iterdir())
    refused = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path / "nowhere")])
    assert refused.exit_code == 2
    assert "nowhere' is not a folder" in refused.stderr
