"""Span detection as arXiv 2409.08199 scores it (Table II), for the evaluate library."""

import datasets
import evaluate
import numpy as np


_DESCRIPTION = """\
Auditory span detection from token labels (1 inside a span, 0 outside): the paper's weighted F1 over the matrix of rows
by 128 positions, and beside it F1 over tokens and over exact spans.
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
    predictions: for each row its labels, a list of 0 and 1, one a token.
    references: the right labels, as long as the predictions; -100 at positions that do not count.
    num_positions (int): width of the paper's matrix; shorter rows are filled up with 0. Defaults to 128.

Returns:
    weighted_f1: the paper's number: F1 of each position over all rows, averaged by how often the position is inside a
        span. Equals sklearn.metrics.f1_score(average="weighted") of the two matrices.
    token_precision, token_recall, token_f1: over all labels of all rows.
    span_precision, span_recall, span_f1: over spans, right only if both ends are. A span is an unbroken run of 1.
    rows, spans: rows that were scored, and right spans in them.

Whatever is undefined, as F1 without any span, is 0.

Examples:
    >>> metric = evaluate.load(audiobert.metric_path("auditory_span"))
    >>> results = metric.compute(predictions=[[0, 1, 1, 0], [0, 1, 0, 0]], references=[[0, 1, 1, 0], [0, 1, 1, 0]])
    >>> round(results["token_f1"], 3), results["span_f1"]
    (0.857, 0.5)
"""

_IGNORED = -100


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class AuditorySpan(evaluate.Metric):
    """F1 of token labels and of spans."""

    def _info(self):
        labels = datasets.Sequence(datasets.Value("int64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": labels, "references": labels}),
            reference_urls=["https://arxiv.org/abs/2409.08199"],
        )

    def _compute(self, predictions, references, num_positions=128, **others_settings):
        # evaluate.combine hands every metric the settings of all: unknown ones are another's.
        return score(predictions, references, num_positions)


def score(predictions, references, num_positions=128):
    """Return the metric's numbers; arguments and results are those of `_KWARGS_DESCRIPTION`."""
    if not len(references):
        raise ValueError("there are no rows to score.")
    predicted, right = label_matrices(predictions, references, num_positions)
    hits = (predicted & right).sum(axis=0)
    support, chosen = right.sum(axis=0), predicted.sum(axis=0)
    by_position = _ratio(2 * hits, support + chosen)
    tokens = _precision_recall_f1("token", hits.sum(), chosen.sum(), support.sum())
    mine, theirs = spans_of(predicted), spans_of(right)
    spans = _precision_recall_f1("span", len(mine & theirs), len(mine), len(theirs))
    weighted = float(_ratio((by_position * support).sum(), support.sum()))
    return {"weighted_f1": weighted} | tokens | spans | {"rows": len(right), "spans": len(theirs)}


def label_matrices(predictions, references, num_positions):
    """Return predictions and references as boolean matrices of shape `(rows, num_positions)`."""
    predicted, right = (np.zeros((len(references), num_positions), dtype=bool) for _ in range(2))
    for index, (mine, theirs) in enumerate(zip(predictions, references, strict=True)):
        mine, theirs = np.asarray(mine, dtype=np.int64), np.asarray(theirs, dtype=np.int64)
        if len(mine) != len(theirs):
            raise ValueError(
                f"row {index} has {len(mine)} predictions for {len(theirs)} references. Give one a token."
            )
        if len(mine) > num_positions:
            raise ValueError(f"row {index} has {len(mine)} labels, num_positions is {num_positions}. Raise it.")
        counted = theirs != _IGNORED
        for what, labels in (("prediction", mine), ("reference", theirs)):
            wrong = labels[counted & (labels != 0) & (labels != 1)]
            if len(wrong):
                raise ValueError(
                    f"row {index} has the {what} {wrong[0]}. Labels are 0 and 1; pass the argmax of logits."
                )
        predicted[index, : len(mine)] = counted & (mine == 1)
        right[index, : len(theirs)] = theirs == 1
    return predicted, right


def spans_of(labels):
    """Return the unbroken runs of 1 in a boolean matrix, as a set of (row, start, end), the end exclusive."""
    steps = np.diff(np.pad(labels.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return {(int(row), int(start), int(end)) for (row, start), (_, end) in zip(starts, ends, strict=True)}


def _precision_recall_f1(name, hits, chosen, support):
    return {
        f"{name}_precision": float(_ratio(hits, chosen)),
        f"{name}_recall": float(_ratio(hits, support)),
        f"{name}_f1": float(_ratio(2 * hits, chosen + support)),
    }


def _ratio(part, whole):
    """Return part / whole, 0 where the whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
