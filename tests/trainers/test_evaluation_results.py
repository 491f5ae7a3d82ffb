import copy
import json

import pytest
from sklearn.metrics import f1_score

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.evaluation import evaluate_model
from audiobert.trainers.evaluation_results import RowPrediction, load_results, save_results, summary


def prediction(number: int, predicted: str, answer: str, **changes) -> RowPrediction:
    settings = {
        "id": f"asr-test-{number}",
        "split": "test",
        "task": "animal_sound_recognition",
        "hearing": None,
        "correct": predicted == answer,
    }
    return RowPrediction(predicted=predicted, answer=answer, **{**settings, **changes})


PREDICTIONS = [
    prediction(0, "cat", "cat"),
    prediction(1, "cat", "dog"),
    prediction(2, "owl", "cow"),
    prediction(3, "cow", "cow"),
    prediction(4, "higher", "lower", task="sound_pitch_comparison"),
]


@pytest.fixture(scope="module")
def results(parts, tmp_path_factory) -> dict:
    from tiny_benchmark import write_benchmark

    return evaluate_model(parts.language_model, write_benchmark(tmp_path_factory.mktemp("benchmark")))


def test_a_summary_counts_the_rows_of_its_task_with_interval_and_f1():
    combined, animal = (summary(task, PREDICTIONS) for task in ("combined", "animal_sound_recognition"))
    assert (combined["correct"], combined["rows"], combined["accuracy"]) == (2, 5, 0.4)
    assert (animal["correct"], animal["rows"], animal["accuracy"]) == (2, 4, 0.5)
    # Wilson's interval of 2 of 4, worked by hand: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).
    assert animal["interval"]["low"] == pytest.approx(0.15004, abs=1e-4)
    assert animal["interval"]["high"] == pytest.approx(0.84996, abs=1e-4)
    for average in ("macro", "weighted"):
        given, right = ([getattr(entry, name) for entry in PREDICTIONS] for name in ("predicted", "answer"))
        assert combined["f1"][average] == pytest.approx(f1_score(right, given, average=average, zero_division=0))


def test_an_answer_spelt_by_other_word_pieces_is_no_hit():
    assert summary("combined", [prediction(0, "Cat", "cat", correct=False)])["f1"] == {"macro": 0.0, "weighted": 0.0}
    assert summary("combined", [prediction(0, "kitty", "cat", correct=True)])["f1"] == {"macro": 1.0, "weighted": 1.0}


def test_a_prediction_is_a_line_of_the_file(results, tmp_path):
    save_results(results, tmp_path / "results.json")
    lines = (tmp_path / "results.json").read_text().splitlines()
    entries = [json.loads(line.rstrip(",")) for line in lines if line.startswith('    {"id": ')]
    assert entries == results["predictions"]
    assert load_results(tmp_path / "results.json") == results


def test_files_that_are_no_results_of_this_version_are_refused_by_name(results, tmp_path):
    path = tmp_path / "results.json"

    def refused(reason: str, content) -> None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(AudioBertInputError, match=reason) as error:
            load_results(path)
        assert str(path) in str(error.value)

    with pytest.raises(AudioBertInputError, match=r"cannot read '.*nothing.json': No such file"):
        load_results(tmp_path / "nothing.json")
    refused("not JSON", "{")
    refused("is not a results file", {"kind": "clap evaluation"})
    old = {name: value for name, value in results.items() if name != "format"}
    refused(r"format 1; .* reads format 2. Run the evaluation again", old)
    refused(r"format 3; .* reads format 2. Update audiobert", {**results, "format": 3})
    refused("damaged: predictions is missing", {**results, "predictions": None})
    for part in ("results", "predictions"):
        broken = copy.deepcopy(results)
        del broken[part][1]["task"]
        refused(rf"damaged: {part}\[1\].task is missing", broken)
    broken = copy.deepcopy(results)
    broken["predictions"][0]["correct"] = not broken["predictions"][0]["correct"]
    refused(r"states \d+ of 24 rows right, its predictions are \d+ of 24", broken)
    refused("two predictions for row", {**results, "predictions": results["predictions"] * 2})
