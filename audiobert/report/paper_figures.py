"""What was published on AuditoryBench: accuracies in per cent, each with where it stands; unknown ones are absent."""

from dataclasses import dataclass

from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, COMBINED, PITCH
from audiobert.trainers.examinee import GIVEN, PROTOCOLS


__all__ = ["PAPER_ACCURACIES", "PAPER_PROTOCOL", "PublishedAccuracy"]

PAPER_PROTOCOL = PROTOCOLS[GIVEN]


@dataclass(frozen=True)
class PublishedAccuracy:
    """The published accuracies of one model.

    Attributes:
        name (`str`): the model.
        source (`str`): where the figures stand.
        figures (`dict[tuple[str, str], float]`): (task, split) → per cent.
    """

    name: str
    source: str
    figures: dict[tuple[str, str], float]


_PAPER = "arXiv 2409.08199, Table III"
_REPOSITORY = (
    "README of the authors' repository at 0412ceb, which shows the test split only; how Gemma and LLaMA, which fill "
    "no masks, were asked is not known to us"
)


def _test(animal: float, pitch: float, combined: float) -> dict[tuple[str, str], float]:
    return {(ANIMAL, "test"): animal, (PITCH, "test"): pitch, (COMBINED, "test"): combined}


PAPER_ACCURACIES = (
    PublishedAccuracy(
        "BERT-base",
        _PAPER,
        {(COMBINED, "validation"): 44.72, (COMBINED, "test"): 44.61, (COMBINED, "wiki"): 45.72},
    ),
    PublishedAccuracy("AudioBERT of BERT-base", _PAPER, {(COMBINED, "test"): 61.97}),
    PublishedAccuracy("BERT-large", _REPOSITORY, _test(15.85, 58.90, 44.41)),
    PublishedAccuracy("RoBERTa-large", _REPOSITORY, _test(14.70, 56.64, 42.52)),
    PublishedAccuracy("Gemma2-2B", _REPOSITORY, _test(15.11, 60.45, 45.19)),
    PublishedAccuracy("LLaMA3.1-8B", _REPOSITORY, _test(21.80, 62.55, 48.83)),
    PublishedAccuracy("AudioBERT, size not stated", _REPOSITORY, _test(36.69, 76.31, 62.97)),
)
