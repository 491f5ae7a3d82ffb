"""Training of an AudioBERT from its parts, on AuditoryBench (arXiv 2409.08199, sections II-B and III)."""

import logging
import random
import time
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.exported import read_parquet_rows
from audiobert.dataset_scripts.auditorybench.sources import REPOSITORY
from audiobert.modeling_audiobert import AudioBertForMaskedLM
from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.model_card import RunFacts, audiobert_card

from .audio_features import AudioFeatureCache
from .audiobert_recipe import AdapterSettings, AudioBertRecipe
from .audiobert_trainer import AudioBertTrainer, AudioBertTrainerMixin
from .clip_sources import Clip
from .collation import EncodedRow, encode_rows, retrieve_clips
from .counterfactual_rows import draw_clips, with_counterfactuals, with_hidden_names
from .evaluation import PROTOCOL, evaluate_model
from .masked_sentences import require_mask_token, require_matching_vocabulary
from .model_card import hub_id, recipe_text, told
from .provenance import hardware, rows_digest, versions
from .text_only_training import TEXT_ONLY, train_text_only
from .training_run import (
    read_metrics,
    require_folder,
    require_shares,
    run_seeds,
    run_training,
    start_run,
    training_arguments,
    write_metrics,
)


__all__ = ["AdapterSettings", "AudioBertRecipe", "train_audiobert"]

logger = logging.getLogger(__name__)

_PUBLISHED = "AuditoryBench"


def train_audiobert(recipe: AudioBertRecipe) -> list[dict[str, Any]]:
    """Train one AudioBERT per seed, refresh its bank, measure it on validation, and save it with its card.

    A run that was interrupted goes on from its last checkpoint, one that has ended is not repeated. Under `accelerate
    launch` each process trains on its own rows, and the first one measures and saves.

    Returns:
        The metrics of each run, as in its `metrics.json`.

    Raises:
        AudioBertInputError: the data, a part or the bank cannot be used, the bank covers no row, or an output folder
            holds another run.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved.
    """
    data_dir = require_folder(recipe.data_dir, "data_dir", "AuditoryBench's CSV files")
    _check_settings(recipe)
    tokenizer = load_part(AutoTokenizer, recipe.language_model)
    require_mask_token(tokenizer, recipe.language_model)
    rows = {split: _load_rows(recipe, split, data_dir) for split in ("train", "validation")}
    if recipe.lessons is not None:
        rows["lessons"] = _read_lessons(Path(recipe.lessons))
    _require_different_answers(rows["train"], data_dir)
    train_one = train_text_only if recipe.hearing == TEXT_ONLY else _train_one
    return run_seeds(recipe, lambda seed, folder: train_one(recipe, seed, folder, tokenizer, rows))


def _check_settings(recipe: AudioBertRecipe) -> None:
    if recipe.hearing not in ("on", TEXT_ONLY):
        raise AudioBertInputError(f"hearing={recipe.hearing} is not known; give on or {TEXT_ONLY}.")
    if recipe.trainer not in ("standard", "gaudi"):
        raise AudioBertInputError(f"trainer={recipe.trainer} is not known; give standard or gaudi.")
    require_shares(recipe, "counterfactual_share", "hidden_names")
    if recipe.hearing == TEXT_ONLY:
        if recipe.trainer != "standard":
            raise AudioBertInputError(f"hearing={TEXT_ONLY} trains with trainer=standard; leave trainer out.")
        return
    if recipe.clip_choices is not None and recipe.clip_choices < recipe.model.get("num_clips", 1):
        raise AudioBertInputError(
            f"clip_choices={recipe.clip_choices} are fewer than the clips that the model hears (model.num_clips); "
            f"give as many or more, or leave it out."
        )
    if recipe.train_audio_encoder:
        require_folder(recipe.audio_dir, "audio_dir", "the bank's clips")
    for setting in ("span_detector", "bank"):
        if getattr(recipe, setting) is None:
            raise AudioBertInputError(f"'{setting}' is not set: give a folder or Hub id, {setting}=FOLDER.")


def _train_one(
    recipe: AudioBertRecipe, seed: int, folder: Path, tokenizer: PreTrainedTokenizerBase, rows: dict[str, list[dict]]
) -> dict[str, Any]:
    cache_folder = recipe.feature_cache or Path(recipe.output_dir).parent / "features"
    recipe = start_run(recipe, folder, seed)
    arguments = training_arguments(recipe, folder, seed)
    model = _assemble(recipe)
    require_matching_vocabulary(tokenizer, model.language_model, recipe.language_model)
    features = None
    if recipe.train_audio_encoder:
        clips = [Clip(clip["id"], clip["path"]) for clip in model.bank.descriptions.select(["id", "path"]).to_pylist()]
        cache = AudioFeatureCache(cache_folder, clips, model.retriever.feature_extractor, recipe.audio_dir)
        with arguments.main_process_first(local=False, desc="reading clips"):
            features = cache.prepare("reading clips")
    encoded = {split: _encoded(recipe, seed, split, content, model) for split, content in rows.items()}
    encoded["train"] = _training_rows(recipe, seed, encoded["train"], encoded.pop("lessons", []), model)
    trainer = _trainer_class(recipe)(
        model=model,
        args=arguments,
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        features=features,
        learning_rates=recipe.learning_rates,
    )
    started = time.monotonic()
    run_training(trainer, folder)
    seconds = time.monotonic() - started
    if trainer.is_world_process_zero():
        trainer.refresh_bank()
        model.eval()
        model.save_pretrained(folder)
        metrics = _metrics(recipe, trainer, rows, seconds)
        with staged_file(folder / "README.md") as temporary:
            temporary.write_text(audiobert_card(model, folder.name, _run_facts(recipe, metrics)), encoding="utf-8")
        write_metrics(metrics, folder)
    trainer.accelerator.wait_for_everyone()
    return read_metrics(folder)


def _trainer_class(recipe: AudioBertRecipe) -> type:
    if recipe.trainer == "standard":
        return AudioBertTrainer
    from .gaudi_trainer import GaudiAudioBertTrainer

    return GaudiAudioBertTrainer


def _metrics(
    recipe: AudioBertRecipe, trainer: AudioBertTrainerMixin, rows: dict[str, list[dict]], seconds: float
) -> dict[str, Any]:
    folder = Path(trainer.args.output_dir)
    share = trainer.data_wait_share
    encoded = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    return {
        "kind": recipe.kind,
        "task": recipe.task,
        "seed": trainer.args.seed,
        "rows": {split: len(content) for split, content in encoded.items()},
        "data": {split: _benchmark_name(recipe, split, content) for split, content in rows.items()},
        "data_sha256": {split: rows_digest(content) for split, content in rows.items()},
        "bank": {
            "clips": len(trainer.model.bank),
            "key_source": trainer.model.bank.key_source,
            "value_fingerprint": trainer.model.bank.value_fingerprint,
        },
        "steps": trainer.state.global_step,
        "seconds_since_start_or_resume": round(seconds, 1),
        "data_wait_share": None if share is None else round(share, 4),
        "processes": trainer.accelerator.num_processes,
        "versions": versions(),
        "hardware": hardware(),
        # Of the model as it was saved, with spans detected and clips retrieved as in use.
        "validation": evaluate_model(folder, recipe.data_dir, task=recipe.task, split="validation")["results"],
    }


def _assemble(recipe: AudioBertRecipe) -> AudioBertForMaskedLM:
    model = AudioBertForMaskedLM.from_parts(
        language_model=recipe.language_model,
        span_detector=recipe.span_detector,
        clap=recipe.clap,
        audio_encoder=recipe.audio_encoder,
        bank=recipe.bank,
        lora_r=recipe.adapter.r,
        lora_alpha=recipe.adapter.alpha,
        lora_dropout=recipe.adapter.dropout,
        **recipe.model,
    )
    recipe.language_model_settings.apply(model.language_model)
    return model


def _encoded(
    recipe: AudioBertRecipe, seed: int, split: str, rows: list[dict], model: AudioBertForMaskedLM
) -> list[EncodedRow]:
    encoded = encode_rows(rows, model.retriever.tokenizer, recipe.max_length, model.config.max_spans)
    if split == "train" and recipe.max_train_rows is not None:
        encoded = _sample(encoded, recipe.max_train_rows, seed)
    encoded = retrieve_clips(model, encoded, num_clips=None if split == "validation" else recipe.clip_choices)
    heard = sum(any(clip >= 0 for span in row.clip_ids for clip in span) for row in encoded)
    logger.info("%s: %d rows, %d with one gap, %d of them heard", split, len(rows), len(encoded), heard)
    if not heard:
        raise AudioBertInputError(
            f"the audio bank '{recipe.bank}' has no clip for any span of the {split} split, so nothing would be "
            f"heard. Use a larger bank, or a lower model.min_similarity."
        )
    return encoded


def _training_rows(
    recipe: AudioBertRecipe, seed: int, rows: list[EncodedRow], lessons: list[EncodedRow], model: AudioBertForMaskedLM
) -> list[EncodedRow]:
    """Return the rows, and lessons if there are any, with what makes an adapter listen."""
    practised = with_counterfactuals(lessons or rows, recipe.counterfactuals, seed, recipe.counterfactual_share)
    mask_token_id = model.retriever.tokenizer.mask_token_id
    practised = with_hidden_names(practised, recipe.hidden_names, seed, mask_token_id)
    all_rows = [*rows, *practised] if lessons else practised
    return all_rows if recipe.clip_choices is None else draw_clips(all_rows, model.config.num_clips, seed)


def _sample(rows: list[EncodedRow], count: int, seed: int) -> list[EncodedRow]:
    return random.Random(seed).sample(rows, min(count, len(rows)))


def _load_rows(recipe: AudioBertRecipe, split: str, data_dir: Path) -> list[dict]:
    rows = load_auditorybench(recipe.task, split, data_dir, clean_train=recipe.clean_train).to_list()
    if not rows:
        raise AudioBertInputError(
            f"the {split} split of '{recipe.task}' in '{data_dir}' has no rows; nothing can be trained."
        )
    return rows


def _read_lessons(file: Path) -> list[dict]:
    if not file.is_file():
        raise AudioBertInputError(
            f"'lessons' is '{file}', which is not a file: give a Parquet file of rows in the benchmark's schema."
        )
    rows = read_parquet_rows(file, "train").to_list()
    if not rows:
        raise AudioBertInputError(f"'lessons' is '{file}', which has no rows; leave it out, or write it again.")
    return rows


def _require_different_answers(rows: list[dict], data_dir: Path) -> None:
    answers = {row["answer"] for row in rows}
    if len(answers) < 2:
        raise AudioBertInputError(
            f"every answer of the train split in '{data_dir}' is '{answers.pop()}', so a model would learn to say "
            f"nothing else. Train on rows with at least two different answers."
        )


def _benchmark_name(recipe: AudioBertRecipe, split: str, rows: list[dict]) -> str:
    """Return what the rows may be called: AuditoryBench only if the files are the published ones, byte for byte."""
    if all(row["source"].startswith(f"{REPOSITORY}@") for row in rows):
        return _PUBLISHED
    origin = recipe.lessons if split == "lessons" else recipe.data_dir
    return f"rows of '{Path(origin).name}', in AuditoryBench's form"


def _run_facts(recipe: AudioBertRecipe, metrics: dict[str, Any]) -> RunFacts:
    emissions = recipe.card.get("co2_eq_emissions")
    base_model = hub_id(recipe.language_model)
    return RunFacts(
        training={
            name: told(value)
            for name, value in {
                "language model": recipe.language_model,
                "span detector": recipe.span_detector,
                "CLAP": recipe.clap,
                "audio encoder": recipe.audio_encoder,
                "data": metrics["data"],
                "task": recipe.task,
                "rows": metrics["rows"],
                "sha256 of the rows": metrics["data_sha256"],
                "steps": metrics["steps"],
                "seed": metrics["seed"],
                "versions": metrics["versions"],
            }.items()
        },
        results=[
            EvalResult(
                task_type="fill-mask",
                dataset_type="auditorybench" if metrics["data"]["validation"] == _PUBLISHED else "local",
                dataset_name=metrics["data"]["validation"],
                dataset_config=result["task"],
                dataset_split="validation",
                metric_type="accuracy",
                metric_name=f"accuracy ({PROTOCOL}), hearing {result['hearing']}",
                metric_value=round(result["accuracy"], 4),
            )
            for result in metrics["validation"]
        ],
        environment={
            "hours of training": f"{metrics['seconds_since_start_or_resume'] / 3600:.3f}, since the last resumption",
            "hardware": metrics["hardware"],
            "CO2": None if emissions is None else told(emissions),
        },
        recipe=recipe_text(recipe),
        metadata=({"base_model": base_model} if base_model else {}) | recipe.card,
    )
