"""Rows from facts: right by the facts, fit by the filter's own rules, and refused with the row's number if not."""

from collections import Counter

import pytest
from candidate_rows import ANIMAL, PITCH

from audiobert.dataset_scripts.auditorybench.spans import NOT_FOUND, locate_span
from audiobert.dataset_scripts.construction.filtering import filter_rows
from audiobert.dataset_scripts.construction.wiki import (
    CallFact,
    RangeFact,
    animal_wiki_rows,
    pitch_wiki_rows,
    read_calls,
    read_ranges,
    which_is_higher,
)
from audiobert.modeling_audiobert.errors import AudioBertInputError


def test_our_own_calls_make_rows_that_pass_the_filter():
    rows = animal_wiki_rows(read_calls())
    assert len(rows) > 100
    assert filter_rows(rows).rejects == []
    assert "cuckoo" not in {row["answer"] for row in rows}
    assert {row["provenance"]["facts"].split(" (sha256")[0] for row in rows} == {"animals.csv"}


def test_calls_of_several_animals_can_be_left_out():
    facts = [CallFact("cow", "moo", "mammal", "t"), CallFact("bee", "buzz", "", "t"), CallFact("fly", "buzz", "", "t")]
    assert [row["answer"] for row in animal_wiki_rows(facts, unique_calls=True)] == ["cow"]
    assert [row["category"] for row in animal_wiki_rows(facts)] == ["animal/mammal/cow", "animal/bee", "animal/fly"]
    with pytest.raises(AudioBertInputError, match="no call that makes a row"):
        animal_wiki_rows(facts[1:], unique_calls=True)


def test_our_own_ranges_make_rows_whose_answers_follow_from_them():
    facts = {fact.name: fact for fact in read_ranges()}
    assert {"piccolo", "octobass"} <= set(facts)
    assert not {"mains hum", "wolf howl"} & set(facts)
    rows = pitch_wiki_rows(list(facts.values()))
    assert len(rows) > 900
    for row in rows:
        first, second = (facts[span] for span in row["spans"])
        assert row["answer"] == ("higher" if first.lowest_hz > second.highest_hz else "lower")
        assert row["sentence"].count("[MASK]") == 1
        places = [locate_span(row["sentence"], span) for span in row["spans"]]
        assert NOT_FOUND not in places
        assert places[0][1] <= places[1][0]
    answers = Counter(row["answer"] for row in rows)
    assert 0.4 < answers["higher"] / len(rows) < 0.6
    assert len({frozenset(row["spans"]) for row in rows}) == len(rows)


def test_only_ranges_that_do_not_overlap_are_compared():
    low, middle, high = (RangeFact(*values, "t") for values in (("a", 20, 100), ("b", 100, 200), ("c", 201, 300)))
    assert which_is_higher(low, high) == "lower"
    assert which_is_higher(high, low) == "higher"
    assert which_is_higher(low, middle) is None
    rows = pitch_wiki_rows([low, middle, high])
    assert {frozenset(row["spans"]) for row in rows} == {frozenset("ac"), frozenset("bc")}
    with pytest.raises(AudioBertInputError, match="no two instruments"):
        pitch_wiki_rows([low, middle])


def test_the_seed_decides_the_order():
    facts = read_ranges()
    assert pitch_wiki_rows(facts, seed=1) == pitch_wiki_rows(facts, seed=1)
    assert pitch_wiki_rows(facts, seed=1) != pitch_wiki_rows(facts, seed=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("name,lowest,highest\nharp,23,104\n", "no column 'unit'"),
        ("name,lowest,highest,unit\nharp,23,104,cents\n", r"row 1 \(line 2\): there is no unit 'cents'"),
        ("name,lowest,highest,unit\nharp,104,23,midi\n", "104 to 23 midi is no range"),
        ("name,lowest,highest,unit\nharp,23,1e9,hz\n", r"23 to 1e\+09 hz is no range"),
        ("name,lowest,highest,unit\nharp,low,104,midi\n", "'low' in column 'lowest' is not a number"),
        ("name,lowest,highest,unit\nharp,nan,104,midi\n", "nan to 104 midi is no range"),
        ("name,lowest,highest,unit\n,23,104,midi\n", "has nothing in column 'name'"),
        (
            "name,lowest,highest,unit\nharp,23,104,midi\nHarp,2,10,midi\n",
            r"row 2 \(line 3\): 'Harp' has a range already",
        ),
    ],
)
def test_a_wrong_table_is_named_with_its_row(tmp_path, content, message):
    (tmp_path / "ranges.csv").write_text(content)
    with pytest.raises(AudioBertInputError, match=message) as refusal:
        read_ranges([tmp_path / "ranges.csv"])
    assert "ranges.csv" in str(refusal.value)


def test_tables_of_ones_own_take_the_place_of_ours(tmp_path):
    (tmp_path / "calls.csv").write_text("animal,call\nzorse,neigh\n")
    (row,) = animal_wiki_rows(read_calls([tmp_path / "calls.csv"]))
    assert (row["task"], row["answer"], row["spans"]) == (ANIMAL, "zorse", ["neigh"])
    assert str(tmp_path) not in row["provenance"]["facts"]
    (tmp_path / "ranges.csv").write_text("name,lowest,highest,unit\nhigh,500,600,hz\nlow,40,50,hz\n")
    (row,) = pitch_wiki_rows(read_ranges([tmp_path / "ranges.csv"]))
    assert row["task"] == PITCH
