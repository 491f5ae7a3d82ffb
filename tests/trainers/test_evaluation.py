import json
import shutil
from pathlib import Path

import pytest
import torch
from hearing_model import save_hearing_model
from tiny_bank import random_bank
from tiny_benchmark import ANIMAL_FILE, PITCH_FILE, write_benchmark
from tiny_models import save_language_model
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert import AudioBertForMaskedLM
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.evaluation import EvaluationOptions, evaluate_model, load_results, save_results
from audiobert.trainers.hearing_settings import HearingSettings
from audiobert.trainers.masked_questions import questions_of
from audiobert.trainers.masked_scoring import MaskedReader, answer_questions
from audiobert.trainers.prediction import fill_masks


FAMILIES = ["bert", "roberta", "distilbert", "modernbert"]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("benchmark"))


def load(folder: Path):
    """The model with larger weights, so that one token more or less, such as padding, changes its answers."""
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8.0)
    return model, AutoTokenizer.from_pretrained(folder)


def judge(model, tokenizer, questions, batch_size, settings=None) -> dict:
    answers = answer_questions(MaskedReader(model, tokenizer, batch_size, settings), questions)
    return {hearing: [answer.correct for answer in given] for hearing, given in answers.items()}


def animal_row(sentence: str, answer: str, row_id: str = "asr-1") -> dict:
    return {"id": row_id, "task": "animal_sound_recognition", "sentence": sentence, "answer": answer, "choices": None}


def pitch_row(sentence: str, answer: str, row_id: str = "spc-1") -> dict:
    choices = ["higher", "lower"]
    index = choices.index(answer) if answer in choices else None
    task = "sound_pitch_comparison"
    return {
        "id": row_id,
        "task": task,
        "sentence": sentence,
        "answer": answer,
        "choices": choices,
        "answer_index": index,
    }


def test_an_answer_of_several_pieces_gets_as_many_masks(parts):
    _, tokenizer = load(parts.language_model)
    (question,) = questions_of([animal_row("The [MASK] makes a moo sound.", "cat birds")], tokenizer, 64)
    tokens = tokenizer.convert_ids_to_tokens(question.input_ids)
    assert tokens == ["[CLS]", "the", "[MASK]", "[MASK]", "[MASK]", "makes", "a", "moo", "sound", ".", "[SEP]"]
    assert question.gap == (2, 3, 4)
    assert tokenizer.convert_ids_to_tokens(question.answer) == ["cat", "bird", "##s"]


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_likeliest_piece_at_every_mask_is_right(parts, family):
    model, tokenizer = load(parts.language_models[family])
    answers = ["cat", "cat dog", "cat dog bee", "birds"]
    sentences = ["The [MASK] makes a moo sound.", "[MASK] is the sound.", "when you hear a loud [MASK]"]
    rows = [animal_row(sentence, answer) for sentence in sentences for answer in answers]
    questions = questions_of(rows, tokenizer, 60)
    best, one_wrong = [], []
    for question in questions:
        with torch.inference_mode():  # one row at a time, without padding
            logits = model(input_ids=torch.tensor([question.input_ids])).logits[0]
        pieces = logits[list(question.gap)].argmax(dim=-1).tolist()
        best.append(type(question)(**{**vars(question), "answer": pieces}))
        one_wrong.append(type(question)(**{**vars(question), "answer": [*pieces[:-1], (pieces[-1] + 1) % 60]}))
    assert judge(model, tokenizer, best, batch_size=12) == {None: [True] * 12}
    assert judge(model, tokenizer, one_wrong, batch_size=12) == {None: [False] * 12}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pitch_answer_is_the_larger_of_two_logits_whatever_stands_beside_the_row(parts, benchmark, family):
    model, tokenizer = load(parts.language_models[family])
    rows = load_auditorybench("sound_pitch_comparison", "test", benchmark).to_list()
    higher, lower = tokenizer.convert_tokens_to_ids(["higher", "lower"])
    expected = []
    for row in rows:
        inputs = tokenizer(row["sentence"], return_tensors="pt")
        with torch.inference_mode():
            logits = model(**inputs).logits[inputs["input_ids"] == tokenizer.mask_token_id][0]
        expected.append((row["answer"] == "higher") == bool(logits[higher] > logits[lower]))
    for batch_size in (1, 18):
        assert judge(model, tokenizer, questions_of(rows, tokenizer, 60), batch_size) == {None: expected}


def test_combined_accuracy_is_over_the_rows_of_both_tasks(parts, benchmark):
    results = evaluate_model(parts.language_model, benchmark, split="validation")
    animal, pitch, combined = results["results"]
    tasks = [result["task"] for result in results["results"]]
    assert tasks == ["animal_sound_recognition", "sound_pitch_comparison", "combined"]
    assert combined["rows"] == animal["rows"] + pitch["rows"] == 42
    assert combined["correct"] == animal["correct"] + pitch["correct"]
    assert combined["accuracy"] == combined["correct"] / 42
    alone = evaluate_model(parts.language_model, benchmark, task="sound_pitch_comparison", split="validation")
    assert alone["results"] == [pitch]


def test_an_audiobert_is_measured_with_hearing_on_and_off(parts, benchmark, tmp_path):
    # One of large weights, or what it hears would change no verdict.
    language_model = save_language_model(tmp_path / "language_model", initializer_range=0.4)
    model = AudioBertForMaskedLM.from_parts(
        language_model, parts.span_detector, parts.clap, parts.audio_encoder, detector_threshold=0.0
    )
    model.bank = random_bank(model)
    with torch.no_grad():  # an adapter as it is after training: before, it changes nothing
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    model.save_pretrained(tmp_path / "model")
    results = evaluate_model(tmp_path / "model", benchmark)
    assert results["model_type"] == "audiobert"
    assert results["bank"] == {"clips": len(model.bank), "key_source": "audio"}
    plain = evaluate_model(language_model, benchmark)
    assert plain["bank"] is None
    alone = plain["results"]
    off = [{**result, "hearing": None} for result in results["results"] if result["hearing"] == "off"]
    assert off == alone

    tokenizer = AutoTokenizer.from_pretrained(language_model)
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "model").eval()
    rows = load_auditorybench("sound_pitch_comparison", "test", benchmark).to_list()
    verdicts = judge(
        model, tokenizer, questions_of(rows, tokenizer, 60), 4, HearingSettings(model, tokenizer, ["on", "off"], 0)
    )
    assert verdicts["on"] != verdicts["off"]
    pitch_on = next(
        result
        for result in results["results"]
        if (result["task"], result["hearing"]) == ("sound_pitch_comparison", "on")
    )
    assert pitch_on["correct"] == sum(verdicts["on"])


def test_results_say_what_they_were_made_with(parts, benchmark, tmp_path):
    results = evaluate_model(parts.language_model, benchmark)
    assert (results["splits"], results["protocol"], results["model_type"]) == (["test"], "answer length given", "bert")
    assert set(results["versions"]) >= {"audiobert", "torch", "transformers"}
    save_results(results, tmp_path / "out" / "results.json")
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
    assert load_results(tmp_path / "out" / "results.json") == results


def test_every_row_has_its_prediction_with_what_was_heard(parts, benchmark, tmp_path):
    model = save_hearing_model(parts, tmp_path)
    results = evaluate_model(model, benchmark, split=["test", "wiki"])
    assert len(results["predictions"]) == 2 * 2 * 42
    rows = {row["id"]: row for row in load_auditorybench("combined", "wiki", benchmark).to_list()}
    of_wiki = [entry for entry in results["predictions"] if entry["split"] == "wiki"]
    assert {(entry["id"], entry["hearing"]) for entry in of_wiki} == {
        (name, hearing) for name in rows for hearing in ("on", "off")
    }
    for entry in of_wiki:
        assert (entry["answer"], entry["task"]) == (rows[entry["id"]]["answer"], rows[entry["id"]]["task"])
        assert entry["correct"] == (entry["predicted"] == entry["answer"])  # no word of theirs has two spellings
    heard = [entry for entry in of_wiki if entry["hearing"] == "on" and entry["clips"]]
    assert heard
    assert all(-1 <= entry["similarity"] <= 1 for entry in heard)
    assert {clip for entry in heard for clip in entry["clips"]} <= {f"clip-{number}" for number in range(6)}
    for entry in of_wiki:
        if entry["hearing"] == "off":
            assert (entry["similarity"], entry["clips"]) == (None, [])
    # The evidence is that of the pipeline, which users see.
    sentence = rows[heard[0]["id"]]["sentence"]
    shown = fill_masks(str(model), [sentence])[0]
    assert [clip["id"] for span in shown["spans"] for clip in span["clips"]] == heard[0]["clips"]
    assert max(clip["similarity"] for span in shown["spans"] for clip in span["clips"]) == pytest.approx(
        heard[0]["similarity"]
    )


def test_all_splits_in_one_run_equal_each_by_itself(parts, benchmark):
    together = evaluate_model(parts.language_model, benchmark, split="all")
    assert together["splits"] == ["validation", "test", "wiki"]
    alone = [evaluate_model(parts.language_model, benchmark, split=name) for name in together["splits"]]
    assert together["results"] == [result for one in alone for result in one["results"]]
    assert together["predictions"] == [entry for one in alone for entry in one["predictions"]]


def test_two_runs_write_the_same_bytes(parts, benchmark, tmp_path):
    model = save_hearing_model(parts, tmp_path)
    for name in ("one", "two"):
        save_results(evaluate_model(model, benchmark, split="all"), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_split_without_rows_to_ask_is_refused(parts, benchmark, tmp_path):
    folder = shutil.copytree(benchmark, tmp_path / "empty")
    path = folder / "published" / ANIMAL_FILE.format("test")
    path.write_text(path.read_text().replace("[MASK]", "thing"))
    for task in ("combined", "animal_sound_recognition"):
        with pytest.raises(AudioBertInputError, match="split 'test' of animal_sound_recognition has no rows that can"):
            evaluate_model(parts.language_model, folder, task=task)
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(AudioBertInputError, match=r"animal_sound_recognition_test.csv' has a header and no rows"):
        evaluate_model(parts.language_model, folder)


def test_rows_without_exactly_one_gap_are_left_out_and_reported(parts, benchmark, tmp_path):
    folder = shutil.copytree(benchmark, tmp_path / "gaps")
    path = folder / "published" / ANIMAL_FILE.format("test")
    path.write_text(path.read_text().replace("[MASK]", "[MASK] or [MASK]", 1))
    results = evaluate_model(parts.language_model, folder, task="animal_sound_recognition")
    assert [row["gaps"] for row in results["left_out"]] == [2]
    whole = evaluate_model(parts.language_model, benchmark, task="animal_sound_recognition")
    assert results["results"][0]["rows"] == whole["results"][0]["rows"] - 1
    assert results["data_sha256"] != whole["data_sha256"]


def test_what_cannot_be_asked_is_refused_by_its_row(parts):
    _, tokenizer = load(parts.language_model)
    with pytest.raises(AudioBertInputError, match=r"row 'asr-9' has \d+ tokens, the model reads 8"):
        questions_of([animal_row("The [MASK] makes a moo sound.", "cat", "asr-9")], tokenizer, 8)
    with pytest.raises(AudioBertInputError, match=r"row 'spc-9': the answer 'louder' is none of higher, lower"):
        questions_of([pitch_row("It is [MASK] than that.", "louder", "spc-9")], tokenizer, 64)
    for other in ("birds", "unheard"):
        row = pitch_row("It is [MASK] than that.", "higher", "spc-8") | {"choices": ["higher", other]}
        with pytest.raises(AudioBertInputError, match=rf"'spc-8': higher and {other} must be single, known tokens"):
            questions_of([row], tokenizer, 64)


def test_the_unknown_token_is_never_a_right_answer(parts):
    model, tokenizer = load(parts.language_model)
    questions = questions_of([animal_row("The [MASK] makes a moo sound.", "aardvark")], tokenizer, 64)
    with torch.no_grad():
        model.cls.predictions.decoder.bias[tokenizer.unk_token_id] = 100.0
    assert judge(model, tokenizer, questions, batch_size=1) == {None: [False]}


def test_models_and_arguments_that_cannot_be_used_are_named(parts, benchmark, tmp_path):
    def refused(reason: str, model: Path = parts.language_model, **changes):
        with pytest.raises(AudioBertInputError, match=reason):
            evaluate_model(model, **{"data_dir": benchmark, **changes})

    refused("no task 'animals'; give one of", task="animals")
    refused("no split 'dev'; give one of train, validation, test, wiki", split="dev")
    refused("splits are test, test; name each", split=["test", "test"])
    with pytest.raises(AudioBertInputError, match="batch size is 0"):
        EvaluationOptions(batch_size=0)
    with pytest.raises(AudioBertInputError, match="no setting of hearing 'loud'; give one of off, on, random"):
        EvaluationOptions(hearing=["loud"])
    with pytest.raises(AudioBertInputError, match="no protocol 'blind'; give one of given, free, candidates"):
        EvaluationOptions(protocol="blind")
    refused("is a masked language model, which does not hear", options=EvaluationOptions(hearing=["on"]))
    refused("'data-dir' is '/nowhere', which is not a folder", data_dir="/nowhere")
    refused("there is no folder '/nowhere'", model=Path("/nowhere"))
    refused("model_type 'clap' .ClapModel., neither a masked nor a causal", model=parts.clap)
    refused("lacks .* of the weights", model=parts.span_detector)
    other = save_language_model(tmp_path / "other", vocab_size=200)
    refused(r"has \d+ tokens, but its model has 200", model=other)
    no_mask = shutil.copytree(parts.language_model, tmp_path / "no_mask")
    for path in no_mask.glob("*token*.json"):
        settings = json.loads(path.read_text())
        settings.pop("mask_token", None)
        path.write_text(json.dumps(settings))
    refused("has no mask token", model=no_mask)
    columns = shutil.copytree(benchmark, tmp_path / "columns")
    path = columns / "published" / PITCH_FILE.format("test")
    path.write_text(path.read_text().replace("answer", "reply"))
    refused(r"sound_pitch_comparsion_test.csv.*answer", data_dir=columns)


def test_rows_whose_sounds_training_names_are_told_from_the_others(parts, benchmark, tmp_path):
    folder = shutil.copytree(benchmark, tmp_path / "seen")
    path = folder / "published" / PITCH_FILE.format("test")
    path.write_text(path.read_text().replace("piccolo", "shawm"))
    results = evaluate_model(parts.language_model, folder, options=EvaluationOptions(by_seen=True))
    counts = {(one["task"], one["part"]): one["rows"] for one in results["results_by_seen"]}
    assert counts == {
        ("animal_sound_recognition", "seen"): 24,
        ("sound_pitch_comparison", "seen"): 12,
        ("sound_pitch_comparison", "unseen"): 6,
        ("combined", "seen"): 36,
        ("combined", "unseen"): 6,
    }
    unseen = [entry for entry in results["predictions"] if entry["seen"] is False]
    assert len(unseen) == 6
    of_part = next(one for one in results["results_by_seen"] if one["part"] == "unseen")
    assert of_part["correct"] == sum(entry["correct"] for entry in unseen)
    without = evaluate_model(parts.language_model, folder)
    assert without["results"] == results["results"]
    assert {entry["seen"] for entry in without["predictions"]} == {None}
