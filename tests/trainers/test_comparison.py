import copy

import pytest

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.comparison import compare_predictions, compare_results, names_of_row
from audiobert.trainers.paired_tests import mcnemar, paired_bootstrap


TASKS = ("animal_sound_recognition", "sound_pitch_comparison")


def entries(rights, hearing=None, seen=None):
    """Predictions of one setting: rows take turns between the tasks."""
    return [
        {"id": f"row-{number}", "split": "test", "task": TASKS[number % 2], "hearing": hearing, "correct": right}
        | ({} if seen is None else {"seen": number < seen})
        for number, right in enumerate(map(bool, rights))
    ]


def file(*settings, model="runs/model", **changes):
    predictions = [entry for of_setting in settings for entry in of_setting]
    facts = {"model": model, "protocol": "answer length given", "data_sha256": {"test": "0123"}}
    return {**facts, "predictions": predictions, **changes}


FIRST, SECOND = [1, 1, 1, 0, 1, 1, 0, 1, 1, 0], [0, 1, 0, 0, 1, 0, 1, 0, 1, 0]


def test_two_files_are_compared_row_by_row_whatever_their_order():
    compared = compare_results([file(entries(FIRST))], [file(entries(SECOND)[::-1], model="other")], seed=4)
    assert (compared["first"]["models"], compared["second"]["models"]) == (["runs/model"], ["other"])
    animal, pitch, combined = compared["comparisons"]
    assert [one["task"] for one in (animal, pitch, combined)] == [*TASKS, "combined"]
    assert (animal["rows"], pitch["rows"], combined["rows"]) == (5, 5, 10)
    assert (combined["first"], combined["second"]) == (0.7, 0.4)
    assert combined["mcnemar"] == mcnemar(FIRST, SECOND) == {"only_first": 4, "only_second": 1, "p": 0.375}
    expected = paired_bootstrap(FIRST, SECOND, 4)
    assert {name: combined[name] for name in expected} == expected
    assert {one["part"] for one in compared["comparisons"]} == {"all"}


def test_seen_and_unseen_rows_are_compared_by_themselves():
    compared = compare_predictions([entries(FIRST, seen=4)], [entries(SECOND, seen=4)])
    parts = {one["part"]: one for one in compared if one["task"] == "combined"}
    assert {part: one["rows"] for part, one in parts.items()} == {"all": 10, "seen": 4, "unseen": 6}
    assert parts["seen"]["mcnemar"] == mcnemar(FIRST[:4], SECOND[:4])
    assert parts["unseen"]["difference"] == pytest.approx(sum(FIRST[4:]) / 6 - sum(SECOND[4:]) / 6)


def test_seeds_are_pooled_by_their_share_in_each_row():
    other = [0, 1, 1, 0, 1, 1, 1, 1, 1, 0]
    compared = compare_results([file(entries(FIRST)), file(entries(other))], [file(entries(SECOND))] * 3)
    combined = compared["comparisons"][-1]
    shares = [(one + two) / 2 for one, two in zip(FIRST, other, strict=True)]
    assert (combined["first"], combined["mcnemar"]) == (pytest.approx(0.7), None)
    assert combined["p"] == paired_bootstrap(shares, SECOND)["p"]


def test_a_setting_of_hearing_is_chosen_by_name_and_on_is_the_default():
    both = file(entries(FIRST, "on"), entries(SECOND, "off"))
    compared = compare_results([both], [both], (None, "off"))
    assert (compared["first"]["hearing"], compared["second"]["hearing"]) == ("on", "off")
    assert compared["comparisons"][-1]["difference"] == pytest.approx(0.3)
    with pytest.raises(AudioBertInputError, match=r"'runs/model' have no hearing 'random', only: on, off"):
        compare_results([both], [both], ("random", None))


def test_what_cannot_be_compared_is_refused_with_the_reason():
    def refused(reason, other):
        with pytest.raises(AudioBertInputError, match=reason):
            compare_results([file(entries(FIRST))], [other])

    refused(r"asked by different protocols \(answer length given; free\)", file(entries(SECOND), protocol="free"))
    refused(r"asked different rows \(test 0123; test 4567\)", file(entries(SECOND), data_sha256={"test": "4567"}))
    refused("row 'row-9' of test is in one of them only", file(entries(SECOND[:9])))
    more = copy.deepcopy(entries(SECOND))
    more.append({**more[0], "id": "row-10"})
    refused("row 'row-10' of test is in one of them only", file(more))


def test_rows_are_dependent_by_the_head_words_of_their_spans_and_by_their_animal():
    spans = [{"text": "Sound of an old Tuba"}, {"text": "drum loops"}]
    row = {"id": "row-3", "task": TASKS[1], "spans": spans, "answer": "higher"}
    assert names_of_row(row) == {"tuba", "loop"}
    assert names_of_row({**row, "task": TASKS[0], "spans": spans[:1], "answer": "water buffalo"}) == {
        "tuba",
        "buffalo",
    }
    assert names_of_row({**row, "spans": []}) == {"row-3"}


def test_every_row_needs_names():
    names = {("test", f"row-{number}"): {"cat", str(number)} for number in range(10)}
    compared = compare_predictions([entries(FIRST)], [entries(SECOND)], names=names)
    assert [one["names"] for one in compared] == [6, 6, 11]
    assert [one["p"] is None for one in compared] == [True, True, False]
    del names["test", "row-4"]
    with pytest.raises(AudioBertInputError, match="row 'row-4' of test has no names"):
        compare_predictions([entries(FIRST)], [entries(SECOND)], names=names)
