"""Table I and the quality report, on the real rows and on rows with one fault each."""

import pytest

from audiobert.dataset_scripts.auditorybench.check_report import report_text
from audiobert.dataset_scripts.auditorybench.checks import check_benchmark
from audiobert.dataset_scripts.auditorybench.rows import make_row
from audiobert.dataset_scripts.auditorybench.statistics import PAPER_TABLE, benchmark_sizes, sizes_table


ANIMAL, PITCH = "animal_sound_recognition", "sound_pitch_comparison"


def row(identifier, sentence="A [MASK] says meow.", answer="cat", spans=("meow",), **fields):
    return make_row(id=identifier, task=ANIMAL, source="a test", sentence=sentence, answer=answer,
                    span_texts=list(spans), **fields)  # fmt: skip


def report_of(**splits):
    return check_benchmark({ANIMAL: splits})


def test_table_one_equals_the_paper_but_for_the_animal_train_split(real_tasks):
    sizes = {(size.task, size.split): (size.captions, size.words) for size in benchmark_sizes(real_tasks)}
    assert {place for place in sizes if sizes[place] != PAPER_TABLE[place]} == {(ANIMAL, "train")}
    assert sizes[ANIMAL, "train"][0] == 4534


def test_the_table_prints_numbers_and_what_the_paper_does_not_print():
    table = sizes_table(benchmark_sizes({"other": {"test": [row("a"), row("b", "[MASK]!", spans=["!"])]}}))
    assert "| other | test | 2 | 2.50 | 5 | not printed | not printed |" in table


def test_the_known_defects_of_the_real_rows_are_found(real_tasks):
    report = check_benchmark(real_tasks)
    splits = {(split.task, split.split): split for split in report.splits}
    misplaced = {place: [len(ids) for ids in split.misplaced_spans] for place, split in splits.items()}
    assert misplaced[ANIMAL, "validation"] == [52]
    assert misplaced[ANIMAL, "test"] == [88]
    assert [misplaced[PITCH, split] for split in ("train", "validation", "test")] == [[79, 98], [8, 11], [14, 28]]
    assert len(splits[ANIMAL, "train"].repeated_questions) == 125
    assert len(splits[ANIMAL, "train"].not_one_mask) == 3
    assert splits[PITCH, "test"].answer_counts == {"higher": 1442, "lower": 945}
    shared = {(pair.task, *pair.splits): pair for pair in report.shared}
    assert shared[ANIMAL, "train", "validation"].sentences == 148
    assert shared[ANIMAL, "train", "test"].sentences == 255
    assert not shared[ANIMAL, "train", "test"].triples
    assert [len(shared[PITCH, "train", split].rows) for split in ("validation", "test")] == [27, 49]
    assert report.has_leak


def test_rows_without_a_fault_are_reported_without_one():
    report = report_of(train=[row("a")], test=[row("b", "A [MASK] purrs.", spans=["purrs"])])
    assert not report.has_leak
    assert "no leak" in report_text(report)
    for split in report.splits:
        lists = {name: value for name, value in vars(split).items() if isinstance(value, list)}
        assert (lists.pop("misplaced_spans"), lists.pop("sources")) == ([[]], ["a test"])
        assert set(map(len, lists.values())) == {0}


@pytest.mark.parametrize(
    ("finding", "rows"),
    [
        ("duplicates", [row("first"), row("bad")]),
        ("repeated_questions", [row("first"), row("bad", spans=["says"])]),
        ("blank_spans", [row("bad", spans=[" "])]),
        ("overlapping_spans", [row("bad", "A double bass is [MASK] than a bass.", spans=["double bass", "bass"])]),
        ("not_one_mask", [row("bad", "It says meow.")]),
        ("not_one_mask", [row("bad", "A [MASK] [MASK] says meow.")]),
        ("answers_outside_choices", [row("bad", choices=["dog", "cow"], answer_index=None), row("good")]),
        ("choice_not_answer", [row("bad", choices=["Cat", "cow"], answer_index=1)]),
        ("no_choice", [row("bad", choices=["Cat", "cow"])]),
        ("multi_word_answers", [row("bad", answer="sand cat"), row("good", answer="cat")]),
    ],
)
def test_each_fault_is_found_in_the_row_that_has_it(finding, rows):
    report = report_of(test=rows)
    assert getattr(report.splits[0], finding) == ["bad"]
    assert "(bad)" in report_text(report)


def test_misplaced_spans_are_counted_by_their_place():
    report = report_of(test=[row("a", spans=["meow", "moo"]), row("b", spans=["purr", ""])])
    assert report.splits[0].misplaced_spans == [["b"], ["a"]]


def test_a_sentence_of_train_that_is_evaluated_is_a_leak_whatever_its_case():
    report = report_of(test=[row("tested", answer="lion")], train=[row("trained", "a  [mask] SAYS meow.")])
    (pair,) = report.shared
    assert (pair.splits, pair.rows, pair.triples) == (("train", "test"), ["tested"], [])
    assert (pair.sentences, pair.sentences_ignoring_case) == (0, 1)
    assert report.has_leak
    assert "LEAK" in report_text(report)


def test_evaluation_splits_that_share_rows_are_reported_and_no_leak():
    report = report_of(validation=[row("a")], test=[row("b")])
    assert report.shared[0].triples == ["b"]
    assert not report.has_leak
