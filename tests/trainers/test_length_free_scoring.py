import pytest
import torch
from hearing_model import save_hearing_model
from tiny_benchmark import write_benchmark
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert.trainers.evaluation import EvaluationOptions, evaluate_model
from audiobert.trainers.length_free_scoring import answer_among_candidates, answer_without_length
from audiobert.trainers.masked_questions import questions_of
from audiobert.trainers.masked_scoring import MaskedReader, answer_questions


SENTENCES = ["The [MASK] makes a moo sound.", "[MASK] is the sound.", "when you hear a loud [MASK], it is that"]


@pytest.fixture(scope="module", params=["bert", "roberta", "distilbert", "modernbert"])
def reader(request, parts):
    """A reader of a model with large weights, so that it is sure of different things in different sentences."""
    folder = parts.language_models[request.param]
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8.0)
    return MaskedReader(model, AutoTokenizer.from_pretrained(folder), batch_size=4)


def animal_rows(answer="cat", choices=None):
    task = "animal_sound_recognition"
    return [
        {"id": f"asr-{number}", "task": task, "sentence": sentence, "answer": answer, "choices": choices, "spans": []}
        for number, sentence in enumerate(SENTENCES)
    ]


def log_probabilities_by_hand(reader, sentence, count):
    """Log-probabilities at `count` masks in the gap, of one sentence without padding."""
    text = sentence.replace("[MASK]", " ".join(["[MASK]"] * count))
    inputs = reader.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        logits = reader.model(**inputs).logits
    return logits[inputs["input_ids"] == reader.tokenizer.mask_token_id].double().log_softmax(dim=-1)


def test_the_number_of_pieces_is_chosen_by_their_mean_log_probability(reader):
    answers = answer_without_length(reader, questions_of(animal_rows(), reader.tokenizer, 64), 64)[None]
    lengths = set()
    for sentence, answer in zip(SENTENCES, answers, strict=True):
        tried = {}
        for count in range(1, 6):
            best = log_probabilities_by_hand(reader, sentence, count).max(dim=-1)
            tried[float(best.values.mean())] = best.indices.tolist()
        pieces = tried[max(tried)]
        assert answer.predicted == reader.tokenizer.decode(pieces).strip()
        lengths.add(len(pieces))
    assert lengths  # what it chose was looked at


def test_the_right_answer_takes_no_part_in_what_is_predicted(reader):
    predicted = [
        [
            [answer.predicted for answer in answering(questions_of(animal_rows(right), reader.tokenizer, 64))[None]]
            for right in ("cat", "cat dog bee", "birds", "aardvark")
        ]
        for answering in (
            lambda questions: answer_without_length(reader, questions, 64),
            lambda questions: answer_among_candidates(reader, questions, ["bee", "cat dog", "cow"], 64),
        )
    ]
    for of_protocol in predicted:
        assert of_protocol[1:] == of_protocol[:-1]


def test_an_answer_is_right_if_length_and_every_piece_are(reader):
    rows = animal_rows()
    found = answer_without_length(reader, questions_of(rows, reader.tokenizer, 64), 64)[None]
    renamed = [{**row, "answer": answer.predicted} for row, answer in zip(rows, found, strict=True)]
    again = answer_without_length(reader, questions_of(renamed, reader.tokenizer, 64), 64)[None]
    assert [answer.predicted for answer in again] == [answer.predicted for answer in found]
    for row, answer in zip(renamed, again, strict=True):
        pieces = reader.tokenizer(row["answer"], add_special_tokens=False)["input_ids"]
        known = reader.tokenizer.unk_token_id not in pieces
        assert answer.correct == (known and reader.tokenizer.decode(pieces) == answer.predicted)


def test_the_likeliest_candidate_is_taken_by_its_mean_log_probability(reader):
    candidates = ["bee", "bird", "cat dog", "cow", "dog cow bee", "quack quack", "snake"]
    answers = answer_among_candidates(
        reader, questions_of(animal_rows("cat dog"), reader.tokenizer, 64), candidates, 64
    )[None]
    for sentence, answer in zip(SENTENCES, answers, strict=True):
        scores = {}
        for candidate in candidates:
            pieces = reader.tokenizer(candidate, add_special_tokens=False)["input_ids"]
            if reader.tokenizer.unk_token_id not in pieces:
                at_gap = log_probabilities_by_hand(reader, sentence, len(pieces))
                scores[candidate] = float(at_gap[torch.arange(len(pieces)), pieces].mean())
        assert len(scores) == 6  # "quack" is not in the vocabulary by itself
        assert answer.predicted == max(scores, key=scores.get)
        assert answer.correct == (answer.predicted == "cat dog")


def test_candidates_that_the_vocabulary_lacks_leave_the_row_wrong(reader):
    questions = questions_of(animal_rows("aardvark", ["aardvark", "okapi"]), reader.tokenizer, 64)
    answers = answer_among_candidates(reader, questions, [], 64)[None]
    assert [(answer.predicted, answer.correct) for answer in answers] == [("", False)] * 3


@pytest.mark.parametrize("protocol", ["free", "candidates"])
def test_an_audiobert_is_measured_by_every_protocol_and_pitch_by_all_alike(parts, tmp_path, protocol):
    model, benchmark = save_hearing_model(parts, tmp_path), write_benchmark(tmp_path / "benchmark")
    given, other = (
        evaluate_model(model, benchmark, options=EvaluationOptions(protocol=name)) for name in ("given", protocol)
    )
    assert other["protocol"] != given["protocol"]
    pitch = [
        [entry for entry in results["predictions"] if entry["task"] == "sound_pitch_comparison"]
        for results in (given, other)
    ]
    assert pitch[0] == pitch[1]
    heard = [entry for entry in other["predictions"] if entry["clips"] and entry["task"] != "sound_pitch_comparison"]
    assert heard
    assert len(other["predictions"]) == len(given["predictions"]) == 84


def test_one_piece_in_a_row_of_one_piece_is_what_the_given_protocol_predicts(reader):
    """With the number of pieces fixed at 1 by the candidates, all protocols look at the same logits."""
    questions = questions_of(animal_rows(), reader.tokenizer, 64)
    (given,) = answer_questions(reader, questions[:1])[None]
    if given.predicted in reader.tokenizer.get_vocab():
        (chosen,) = answer_among_candidates(reader, questions[:1], sorted({given.predicted, "cow", "bee"}), 64)[None]
        assert chosen.predicted == given.predicted
