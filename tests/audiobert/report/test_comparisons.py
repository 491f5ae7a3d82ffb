"""Whether hearing matters, over seeds and settings, as the report says it."""

import json

import pytest
from results_file import animal_rows, right, right_below, save_evaluation, wrong

from audiobert.report.comparisons import compare_systems
from audiobert.report.inputs import read_inputs
from audiobert.report.systems import systems_of


ROWS = animal_rows(40)


def compared(*sources) -> dict[tuple[str, str], dict]:
    tests = compare_systems(systems_of(read_inputs([str(source) for source in sources]).evaluations))
    return {tuple(test["settings"]): test for test in tests}


def test_hearing_is_tested_against_everything_else_over_the_seeds(tmp_path):
    sources = [
        save_evaluation(
            tmp_path / f"on{seed}.json", f"hears/seed-{seed}", ROWS, {"on": right_below(20 + 20 * seed), "off": wrong}
        )
        for seed in (0, 1)
    ]
    sources += [
        save_evaluation(tmp_path / f"text{seed}.json", f"text/seed-{seed}", ROWS, {None: right_below(10)})
        for seed in (0, 1)
    ]
    tests = compared(*sources)
    assert set(tests) == {("hears, hearing on", "hears, hearing off"), ("hears, hearing on", "text")}
    against_text = tests["hears, hearing on", "text"]
    # 50 and 100 % against 25 and 25 %.
    assert against_text["difference"] == pytest.approx(0.5)
    assert against_text["low"] < 0.5 < against_text["high"]
    assert against_text["p"] < 0.01


def test_two_models_that_hear_are_tested_once(tmp_path):
    one = save_evaluation(tmp_path / "add.json", "add", ROWS, {"on": right})
    two = save_evaluation(tmp_path / "replace.json", "replace", ROWS, {"on": right_below(30)})
    assert set(compared(one, two)) == {("add, hearing on", "replace, hearing on")}


def test_models_beside_an_ablation_keep_their_names_and_may_be_shared_by_its_seeds(tmp_path):
    sources = []
    for seed in (0, 1):
        answers = {"on": right, "random": wrong, "language-model": right_below(10)}
        path = save_evaluation(tmp_path / f"{seed}.json", f"hears/seed-{seed}", ROWS, answers)
        content = json.loads(path.read_text("utf-8")) | {"models": {"language-model": "models/bert"}}
        path.write_text(json.dumps(content), "utf-8")
        sources.append(str(path))
    systems = {system.title: system for system in systems_of(read_inputs(sources).evaluations)}
    assert set(systems) == {"hears, hearing on", "hears, hearing random", "hears, language-model"}
    assert list(systems["hears, language-model"].runs) == ["models/bert"]
    assert len(systems["hears, hearing on"].runs) == 2


def test_only_rows_that_both_answered_are_tested(tmp_path):
    one = save_evaluation(tmp_path / "one.json", "hears", ROWS, {"on": right})
    more = save_evaluation(tmp_path / "more.json", "hears", animal_rows(10, "wiki"), {"on": right})
    other = save_evaluation(tmp_path / "other.json", "text", ROWS, {None: wrong})
    test = compared(one, more, other)["hears, hearing on", "text"]
    assert (test["split"], test["rows"]) == ("test", 40)
    apart = save_evaluation(tmp_path / "apart.json", "text", animal_rows(10, "validation"), {None: wrong})
    assert compared(one, apart) == {}
