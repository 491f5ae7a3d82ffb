"""Accuracy on AuditoryBench, as arXiv 2409.08199 counts it, for the evaluate library."""

from collections import Counter

import datasets
import evaluate
import numpy as np


_DESCRIPTION = """\
Exact match of answers on AuditoryBench: an answer of several word pieces is right only if every piece is. Accuracy
over all rows ("combined" in the paper) and by task, with a bootstrap confidence interval, and F1 over answers.
"""

_CITATION = """\
@article{ok2024audiobert,
  title   = {AudioBERT: Audio Knowledge Augmented Language Model},
  author  = {Ok, Hyunjong and Yoo, Suho and Lee, Jaeho},
  journal = {arXiv preprint arXiv:2409.08199},
  year    = {2024}
}
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: one answer a row: a string, or a list of token ids.
    references: the right answers, of the same kind. Where a row of token ids holds -100, nothing is scored: if the
        prediction is as long, its token there is left out as well.
    tasks (list of str, optional): the task of each row, for accuracies by task. With `add` and `add_batch`, load the
        configuration "by_task" and pass it there.
    ignore_case (bool): compare strings without regard to case. Defaults to True.
    ignore_articles (bool): drop a leading "a", "an" or "the" from strings. Defaults to False.
    bootstrap_samples (int): resamples for the confidence interval. Defaults to 1000.
    seed (int): seed of the resamples. Defaults to 0.

White space at the ends of a string does not count, and any run of it inside is one space.

Returns:
    accuracy: share of right rows, 0 to 1.
    accuracy_low, accuracy_high: ends of its 95 % confidence interval.
    accuracy_TASK, accuracy_TASK_low, accuracy_TASK_high, rows_TASK: the same for each task.
    macro_f1, weighted_f1: F1 of each answer as a class, averaged evenly, or by the answer's rows.
    rows: rows that were scored.
    answers: different right answers among them.

Examples:
    >>> metric = evaluate.load(audiobert.metric_path("auditorybench"))
    >>> results = metric.compute(predictions=["dog", "Cat ", "hen"], references=["dog", "cat", "rooster"])
    >>> round(results["accuracy"], 3)
    0.667
    >>> metric.compute(predictions=[[7, 9], [7, 8]], references=[[7, 9], [7, 9]])["accuracy"]
    0.5
"""

_IGNORED = -100
_CONFIDENCE = 0.95


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Auditorybench(evaluate.Metric):
    """Exact match over all word pieces."""

    def _info(self):
        if self.config_name not in ("default", "by_task"):
            raise ValueError(f"the metric has no configuration '{self.config_name}'. Choose 'default' or 'by_task'.")
        tasks = {"tasks": datasets.Value("string")} if self.config_name == "by_task" else {}
        kinds = (datasets.Value("string"), datasets.Sequence(datasets.Value("int64")))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=[datasets.Features({"predictions": kind, "references": kind, **tasks}) for kind in kinds],
            reference_urls=["https://arxiv.org/abs/2409.08199"],
        )

    def compute(self, *, predictions=None, references=None, **kwargs):
        """Return the metric's numbers."""
        if references is not None and not len(references):
            raise ValueError("there are no rows to score.")  # evaluate itself would fail to guess their type
        return super().compute(predictions=predictions, references=references, **kwargs)

    def _compute(self, predictions, references, tasks=None, **settings):
        # evaluate.combine hands every metric the settings of all: unknown ones are another's.
        known = ("ignore_case", "ignore_articles", "bootstrap_samples", "seed")
        return score(predictions, references, tasks, **{name: settings[name] for name in known if name in settings})


def score(  # noqa: PLR0913 - the metric's documented settings
    predictions, references, tasks=None, *, ignore_case=True, ignore_articles=False, bootstrap_samples=1000, seed=0
):
    """Return the metric's numbers; arguments and results are those of `_KWARGS_DESCRIPTION`."""
    if not len(references):
        raise ValueError("there are no rows to score.")
    if tasks is not None and len(tasks) != len(references):
        raise ValueError(f"there are {len(tasks)} tasks for {len(references)} rows. Give one a row.")
    for index, pair in enumerate(zip(predictions, references, strict=True)):
        if any(answer is None for answer in pair):
            raise ValueError(f"row {index} has None for an answer. Give an empty string for no prediction.")
    if isinstance(references[0], str):
        predicted = [_normalized(answer, ignore_case, ignore_articles) for answer in predictions]
        right = [_normalized(answer, ignore_case, ignore_articles) for answer in references]
    else:
        pairs = [_scored_tokens(index, *pair) for index, pair in enumerate(zip(predictions, references, strict=True))]
        predicted, right = ([pair[side] for pair in pairs] for side in (0, 1))
    correct = np.array([mine == theirs for mine, theirs in zip(predicted, right, strict=True)])
    results = _with_interval("accuracy", correct, bootstrap_samples, seed)
    for task in dict.fromkeys(tasks or []):
        chosen = correct[np.array([name == task for name in tasks])]
        results |= _with_interval(f"accuracy_{task}", chosen, bootstrap_samples, seed)
        results[f"rows_{task}"] = len(chosen)
    results["macro_f1"], results["weighted_f1"] = _f1_over_answers(predicted, right)
    return results | {"rows": len(right), "answers": len(set(right))}


def _normalized(answer, ignore_case, ignore_articles):
    """Return the text that is compared."""
    words = (answer.casefold() if ignore_case else answer).split()
    if ignore_articles and len(words) > 1 and words[0].casefold() in ("a", "an", "the"):
        words = words[1:]
    return " ".join(words)


def _scored_tokens(index, prediction, reference):
    """Return prediction and reference as the token ids that are compared."""
    prediction, reference = list(prediction), list(reference)
    if len(prediction) == len(reference):
        prediction = [mine for mine, theirs in zip(prediction, reference, strict=True) if theirs != _IGNORED]
    else:
        prediction = [token for token in prediction if token != _IGNORED]
    reference = [token for token in reference if token != _IGNORED]
    if not reference:
        raise ValueError(
            f"row {index}: the reference holds no token but {_IGNORED}, so nothing can be scored. Drop it."
        )
    return tuple(prediction), tuple(reference)


def _with_interval(name, correct, bootstrap_samples, seed):
    """Return an accuracy and its percentile bootstrap interval.

    The number of right rows among n drawn with replacement is binomial, so it is drawn as that.
    """
    accuracy = float(correct.mean())
    if bootstrap_samples < 1:
        raise ValueError(f"bootstrap_samples is {bootstrap_samples}; the interval needs at least 1.")
    resampled = np.random.default_rng(seed).binomial(len(correct), accuracy, size=bootstrap_samples) / len(correct)
    low, high = np.quantile(resampled, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return {name: accuracy, f"{name}_low": float(low), f"{name}_high": float(high)}


def _f1_over_answers(predicted, right):
    """Return macro and weighted F1 with each answer, predicted or right, as a class; 0 for one never hit."""
    hits = Counter(theirs for mine, theirs in zip(predicted, right, strict=True) if mine == theirs)
    support, chosen = Counter(right), Counter(predicted)
    f1 = {answer: 2 * hits[answer] / (support[answer] + chosen[answer]) for answer in support | chosen}
    macro = sum(f1.values()) / len(f1)
    weighted = sum(f1[answer] * count for answer, count in support.items()) / len(right)
    return macro, weighted
