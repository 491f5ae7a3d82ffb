import pytest
import torch
from datasets import DatasetDict
from tiny_benchmark import write_benchmark
from tiny_causal_families import FAMILIES, save_family
from transformers import AutoModelForCausalLM, AutoTokenizer

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.benchmarks import load_benchmark
from audiobert.dataset_scripts.auditorybench.description import auditorybench_description
from audiobert.dataset_scripts.auditorybench.export import export_benchmark
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.causal_scoring import answer_by_likelihood, sentence_log_likelihoods
from audiobert.trainers.evaluation import EvaluationOptions, evaluate_model


ANSWERS = ["bee", "bird", "cat", "cow", "dog", "snake"]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    return write_benchmark(tmp_path_factory.mktemp("benchmark"))


def scores_by_hand(folder, row, candidates) -> list[float]:
    """One sentence at a time, without padding: its log-likelihood per character after the start token."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    scores = []
    for candidate in candidates:
        sentence = row["sentence"].replace("[MASK]", candidate)
        tokens = torch.tensor([[start, *tokenizer(sentence, add_special_tokens=False)["input_ids"]]])
        with torch.no_grad():
            log_probabilities = model(input_ids=tokens).logits[0].double().log_softmax(dim=-1)
        total = sum(log_probabilities[place, token] for place, token in enumerate(tokens[0, 1:]))
        scores.append(float(total) / len(sentence))
    return scores


@pytest.mark.parametrize("start", [True, False], ids=["start token", "end token only"])
@pytest.mark.parametrize("padding_side", ["right", "left"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_answer_is_the_candidate_that_is_likeliest_one_at_a_time(benchmark, tmp_path, family, padding_side, start):
    folder = save_family(tmp_path / family, family, padding_side, start)
    results = evaluate_model(folder, benchmark, options=EvaluationOptions(batch_size=7))
    assert (results["model_type"], results["protocol"]) == (family, "candidates")
    assert len(results["predictions"]) == 42
    rows = {row["id"]: row for row in load_auditorybench("combined", "test", benchmark).to_list()}
    for entry in results["predictions"]:
        row = rows[entry["id"]]
        candidates = row["choices"] or ANSWERS
        scores = scores_by_hand(folder, row, candidates)
        assert entry["predicted"] == candidates[scores.index(max(scores))]
        assert entry["correct"] == (entry["predicted"] == row["answer"])
    assert len({entry["predicted"] for entry in results["predictions"]}) > 3


@pytest.mark.parametrize("family", list(FAMILIES))
def test_likelihoods_do_not_depend_on_what_stands_beside_a_sentence(tmp_path, family):
    model = AutoModelForCausalLM.from_pretrained(save_family(tmp_path, family)).eval()
    sentences = [[2, *range(5, 5 + length)] for length in (1, 12, 3, 20, 7)]
    alone = [sentence_log_likelihoods(model, [sentence], 1)[0] for sentence in sentences]
    for batch_size in (2, 5):
        assert sentence_log_likelihoods(model, sentences, batch_size) == pytest.approx(alone, rel=1e-4)
        # The padding's token is looked at by nobody.
        assert sentence_log_likelihoods(model, sentences, batch_size, 9) == pytest.approx(alone, rel=1e-4)


def test_length_is_divided_by_or_short_candidates_would_win(tmp_path):
    folder = save_family(tmp_path, "gpt2")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    row = {"id": "asr-1", "sentence": "a [MASK] makes it.", "answer": "cat", "choices": None}
    candidates = ["cat", "cat cat cat cat cat cat"]
    by_hand = scores_by_hand(folder, row, candidates)
    (answer,) = answer_by_likelihood(model, tokenizer, [row], candidates, 2)
    assert answer.predicted == candidates[by_hand.index(max(by_hand))]
    lengths = [len(row["sentence"]) - 6 + len(candidate) for candidate in candidates]
    totals = [score * length for score, length in zip(by_hand, lengths, strict=True)]
    assert totals.index(max(totals)) == 0


def test_published_choices_are_the_candidates_where_there_are_some(benchmark, tmp_path):
    folder = save_family(tmp_path / "model", "llama")
    results = evaluate_model(folder, benchmark, "animal_sound_recognition", "train")
    assert {entry["predicted"] for entry in results["predictions"]} <= {"cat", "dog", "cow", "bee"}


def test_without_a_train_split_there_are_no_candidates_and_pitch_needs_none(benchmark, tmp_path):
    model = save_family(tmp_path / "model", "llama")
    tasks = {
        task: DatasetDict(test=splits["test"]) for task, splits in load_benchmark("auditorybench", benchmark).items()
    }
    folder = export_benchmark(tmp_path / "no_train", tasks, auditorybench_description("no_train", False))
    with pytest.raises(AudioBertInputError, match=r"train split is needed for the candidates .* has no split 'train'"):
        evaluate_model(model, folder)
    assert evaluate_model(model, folder, "sound_pitch_comparison")["results"][0]["rows"] == 18


def test_what_a_causal_model_cannot_be_asked_is_refused(benchmark, tmp_path):
    folder = save_family(tmp_path / "model", "gpt2")
    for protocol in ("given", "free"):
        with pytest.raises(AudioBertInputError, match=rf"fills no masks.* Leave the protocol '{protocol}' out"):
            evaluate_model(folder, benchmark, options=EvaluationOptions(protocol=protocol))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    long = {"id": "asr-9", "sentence": "a [MASK] " + "makes " * 80, "answer": "cat", "choices": ["cat"]}
    with pytest.raises(AudioBertInputError, match=r"row 'asr-9' has 83 tokens with 'cat' in its gap, .* reads 64"):
        answer_by_likelihood(model, tokenizer, [long], [], 4)
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(AudioBertInputError, match="neither a start nor an end token"):
        answer_by_likelihood(model, tokenizer, [{**long, "sentence": "a [MASK]."}], [], 4)


def test_the_harness_gives_the_same_answers(benchmark, tmp_path):
    lm_eval = pytest.importorskip("lm_eval", reason='lm-eval is missing: pip install "audiobert[lm-eval]"')
    from lm_eval.tasks import TaskManager

    from audiobert.dataset_scripts.auditorybench.lm_eval_export import export_lm_eval

    folder = save_family(tmp_path / "model", "llama")
    export_lm_eval("auditorybench", tmp_path / "tasks", benchmark)
    tasks = [f"auditorybench_{task}_test" for task in ("animal_sound_recognition", "sound_pitch_comparison")]
    harness = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(folder), "dtype": "float32", "device": "cpu"},
        tasks=tasks,
        task_manager=TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False),
        batch_size=8,
        bootstrap_iters=0,
    )
    ours = evaluate_model(folder, benchmark)["results"]
    for task, result in zip(tasks, ours, strict=False):
        assert harness["results"][task]["acc_norm,none"] == pytest.approx(result["accuracy"])
    assert 0 < ours[-1]["correct"] < 42
