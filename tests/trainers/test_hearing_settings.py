import pyarrow as pa
import pytest
import torch
from hearing_model import save_hearing_model
from tiny_benchmark import CALLS, write_benchmark
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert import AudioBank
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.trainers.evaluation import EvaluationOptions, evaluate_model
from audiobert.trainers.hearing_settings import SETTINGS, HearingSettings
from audiobert.trainers.masked_questions import annotated_spans, questions_of


ANIMALS = list(CALLS)


@pytest.fixture(scope="module")
def heard(parts, tmp_path_factory):
    """A model whose bank has a clip of each animal, a benchmark, and the questions of its test split."""
    folder = tmp_path_factory.mktemp("hearing")
    path = save_hearing_model(parts, folder)
    model = AutoModelForMaskedLM.from_pretrained(path).eval()
    clips = model.bank.clips
    clips = clips.set_column(clips.column_names.index("label"), "label", pa.array(ANIMALS, pa.string()))
    model.bank = AudioBank(
        clips, model.bank.keys, model.bank.values, model.bank.key_fingerprint, model.bank.value_fingerprint
    )
    model.save_pretrained(folder / "labelled")
    tokenizer = AutoTokenizer.from_pretrained(folder / "labelled")
    benchmark = write_benchmark(folder / "benchmark")
    rows = load_auditorybench("animal_sound_recognition", "test", benchmark).to_list()
    return folder / "labelled", model, tokenizer, questions_of(rows, tokenizer, 64), benchmark


def outputs(heard, names, questions=None, seed=0, padding_side="right"):
    _, model, tokenizer, every, _ = heard
    questions = every if questions is None else questions
    inputs = tokenizer.pad(
        {"input_ids": [question.input_ids for question in questions]}, return_tensors="pt", padding_side=padding_side
    )
    padding = inputs["attention_mask"].argmax(dim=1).tolist()
    with torch.no_grad():
        found = HearingSettings(model, tokenizer, names, seed).outputs(inputs, questions, padding)
        return {name: (logits, evidence) for name, logits, evidence in found}


def test_on_is_the_model_as_in_use_and_off_the_language_model(heard):
    _, model, tokenizer, questions, _ = heard
    found = outputs(heard, ["on", "off"])
    inputs = tokenizer.pad({"input_ids": [question.input_ids for question in questions]}, return_tensors="pt")
    with torch.no_grad():
        in_use, off = model(**inputs), model(**inputs, hearing=False)
    assert torch.equal(found["on"][0], in_use.logits)
    assert torch.equal(found["off"][0], off.logits)
    assert all(evidence.clips == [] and evidence.right_label is None for evidence in found["off"][1])
    assert any(evidence.clips for evidence in found["on"][1])


def test_each_setting_gives_what_the_model_gives_for_its_clips_and_spans(heard):
    _, model, tokenizer, questions, _ = heard
    names = model.bank.descriptions["id"].to_pylist()
    for question in questions[:6]:
        inputs = {"input_ids": torch.tensor([question.input_ids])}
        found = outputs(heard, list(SETTINGS), [question])
        detected = model.detect_spans(**inputs)
        published = torch.tensor([annotated_spans(question.row, question, tokenizer)]).view(1, -1, 2)
        for setting, (logits, (evidence,)) in found.items():
            if not evidence.clips:
                continue
            spans = published if setting.startswith("gold") else detected
            clips = torch.tensor([[names.index(clip) for clip in evidence.clips]])
            with torch.no_grad():
                expected = model(**inputs, span_positions=spans, clip_ids=clips).logits
            assert torch.allclose(logits, expected, atol=1e-5), setting
        assert {setting for setting, (_, (evidence,)) in found.items() if evidence.clips} >= {"on", "random", "oracle"}


def test_the_oracle_hears_the_animal_that_is_asked_for(heard):
    _, model, _, questions, _ = heard
    labels = dict(zip(model.bank.descriptions["id"].to_pylist(), ANIMALS, strict=True))
    for setting in ("oracle", "gold-oracle"):
        checked = 0
        for question, evidence in zip(questions, outputs(heard, [setting])[setting][1], strict=True):
            if evidence.clips:
                checked += 1
                assert {labels[clip] for clip in evidence.clips} == {question.row["answer"]}
                assert evidence.right_label
                assert evidence.similarity is None  # nothing was retrieved
        assert checked > 6


def test_a_span_without_a_clip_of_the_right_label_keeps_the_retrieved_one_and_says_so(heard):
    import dataclasses

    questions = [dataclasses.replace(one, row={**one.row, "answer": "aardvark"}) for one in heard[3]]
    found = outputs(heard, ["on", "oracle"], questions)
    assert torch.equal(found["on"][0], found["oracle"][0])
    for on, oracle in zip(found["on"][1], found["oracle"][1], strict=True):
        assert (oracle.clips, oracle.right_label) == (on.clips, False if on.clips else None)


def test_random_clips_are_other_ones_by_seed_and_the_same_in_any_order_of_the_rows(heard):
    questions = heard[3]

    def clips(order, seed=0):
        found = outputs(heard, ["random"], [questions[place] for place in order], seed)["random"][1]
        return {questions[place].row["id"]: evidence.clips for place, evidence in zip(order, found, strict=True)}

    order = list(range(len(questions)))
    assert clips(order) == clips(order[::-1])
    assert clips(order) != clips(order, seed=1)
    assert len({clip for heard_by_row in clips(order).values() for clip in heard_by_row}) > 3


def test_published_spans_are_heard_where_they_stand_also_with_padding_on_the_left(heard):
    questions = heard[3]
    right, left = (outputs(heard, ["gold"], padding_side=side)["gold"][1] for side in ("right", "left"))
    for question, one, other in zip(questions, right, left, strict=True):
        in_sentence = [span for span in question.row["spans"] if span["start"] >= 0]
        assert len(one.clips) == len(other.clips) == len(in_sentence)
        assert one.clips == other.clips


def test_a_file_counts_rows_that_heard_and_rows_that_heard_the_right_label(heard):
    path, *_, benchmark = heard
    options = EvaluationOptions(hearing=["oracle", "off"])
    results = evaluate_model(path, benchmark, "animal_sound_recognition", options=options)
    oracle, off = results["results"]
    assert [oracle["hearing"], off["hearing"]] == ["oracle", "off"]
    assert oracle["heard"] == oracle["right_label"] > 6
    assert off["heard"] == off["right_label"] == 0
