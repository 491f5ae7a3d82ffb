"""Does hearing matter? An AudioBERT under every setting of hearing, beside models that cannot hear."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiobert.dataset_scripts.auditorybench.sources import COMBINED
from audiobert.modeling_audiobert.checkpoint_loading import model_type_of
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .comparison import compare_predictions
from .evaluation import EvaluationOptions, evaluate_model
from .hearing_settings import SETTINGS
from .paired_tests import RESAMPLES


__all__ = ["LANGUAGE_MODEL", "TEXT_ONLY", "evaluate_ablations"]

TEXT_ONLY, LANGUAGE_MODEL = "text-only", "language-model"


def evaluate_ablations(
    name_or_path: str | Path,
    others: Mapping[str, str | Path],
    data_dir: str | Path | None = None,
    task: str = COMBINED,
    split: str | Sequence[str] = "test",
    options: EvaluationOptions | None = None,
) -> dict[str, Any]:
    """Return an AudioBERT's accuracy under every setting of hearing, beside other models on the same rows.

    Args:
        name_or_path (`str` or `Path`): an AudioBERT.
        others (`Mapping[str, str | Path]`):
            Models that cannot hear, under the names that take the place of a setting of hearing: `"text-only"` for the
            same adapter trained without sounds, `"language-model"` for the model that both started from.
        data_dir, task, split, options: as for [`evaluate_model`]; `hearing` defaults to all settings here.

    Returns:
        What [`evaluate_model`] returns, with the other models' results and predictions under their names for
        `hearing`, and **models**: name → model; **comparisons**: [`compare_predictions`] of `on` as the first with
        each other as the second, named under `settings`.

    Raises:
        AudioBertInputError: the model is no AudioBERT, another one hears, or anything cannot be used.
    """
    options = options or EvaluationOptions()
    _check_kinds(str(name_or_path), others)
    settings = list(options.hearing or SETTINGS)
    if "on" not in settings:
        settings = ["on", *settings]
    results = evaluate_model(name_or_path, data_dir, task, split, replace(options, hearing=settings))
    for name, other in others.items():
        of_other = evaluate_model(other, data_dir, task, split, replace(options, hearing=None))
        for part in ("results", "predictions", "results_by_seen"):
            if part in results:
                results[part] += [{**entry, "hearing": name} for entry in of_other[part]]
    by_setting = {
        name: [entry for entry in results["predictions"] if entry["hearing"] == name] for name in [*settings, *others]
    }
    results["models"] = {name: str(other) for name, other in others.items()}
    results["resamples"] = RESAMPLES
    results["comparisons"] = [
        {"settings": ["on", name], **comparison}
        for name, entries in by_setting.items()
        if name != "on"
        for comparison in compare_predictions([by_setting["on"]], [entries], options.seed)
    ]
    return results


def _check_kinds(name: str, others: Mapping[str, str | Path]) -> None:
    if model_type_of(name) != "audiobert":
        raise AudioBertInputError(f"'{name}' is no AudioBERT, so there is no hearing to vary. Give an AudioBERT.")
    for other in others.values():
        if model_type_of(other) == "audiobert":
            raise AudioBertInputError(
                f"'{other}' is an AudioBERT; what it is compared with must not hear. Give the folder of a run with "
                f"hearing=text_only, or the language model."
            )
