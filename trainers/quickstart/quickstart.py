"""The steps of the quickstart, each of which is skipped when its result is there already."""

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from transformers import AutoConfig

from audiobert.dataset_scripts.sample.sample_bank import BANK_MANIFEST, ENCODER_MANIFEST, write_sample_clips
from audiobert.dataset_scripts.sample.sample_benchmark import (
    ORDINARY_FILE,
    SampleSize,
    measure_sources,
    write_sample_benchmark,
)
from audiobert.dataset_scripts.sample.sound_sources import practice_sources, sample_sources
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from ..audio_encoder_training import AudioEncoderRecipe, train_audio_encoder
from ..audio_loading import load_audio
from ..audiobert_training import AudioBertRecipe, train_audiobert
from ..bank_building import build_bank
from ..bank_encoding import BankOptions, load_bank_encoders
from ..caption_keys import save_keyed_by_captions
from ..clap_training import ClapRecipe, train_clap
from ..detector_training import DetectorRecipe, train_detector
from ..provenance import versions
from ..recipe import load_recipe
from ..side_by_side import run_side_by_side, worth_side_by_side
from ..starter import build_starter_model, starter_folder
from ..training_run import write_json
from .measuring import answer_sentences, example_rows, measure
from .precision import speed_settings
from .report import write_report


__all__ = ["RECIPE", "QuickstartRecipe", "run_quickstart"]

logger = logging.getLogger(__name__)

RECIPE = "quickstart"
SETTINGS_FILE = "quickstart.json"
_TEXT_TOWERS = ("bert", "roberta")


@dataclass
class QuickstartRecipe:
    """What the quickstart makes; how it trains stands in the recipe's other documents.

    Args:
        output_dir (`Path`): where everything is written.
        seed (`int`): of the sounds, the sentences and the training.
        language_model (`str`, *optional*): a masked language model, a folder or Hub id; by default the starter, which
            needs no download.
        sample (`SampleSize`): how many sources, clips and sentences.
        recipe (`str`): the file with the documents that the parts are trained by.
        overrides (`dict[str, list[str]]`): further `key=value` settings of the parts, by kind.
    """

    kind: ClassVar[str] = "quickstart"

    output_dir: Path = Path("runs/quickstart")
    seed: int = 0
    language_model: str | None = None
    sample: SampleSize = field(default_factory=SampleSize)
    recipe: str = RECIPE
    overrides: dict[str, list[str]] = field(default_factory=dict)


class _Steps:
    """Runs steps, skips those that are done, and tells what happens."""

    def __init__(self, tell: Callable[[str], None]):
        self.tell = tell
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, sentence: str, result: Path, make: Callable[[], Any]) -> None:
        if result.exists():
            self.tell(f"{sentence} Done before.")
            return
        self.tell(sentence)
        started = time.monotonic()
        make()
        self.seconds[name] = round(time.monotonic() - started, 1)


def run_quickstart(recipe: QuickstartRecipe, tell: Callable[[str], None] = logger.info) -> dict[str, Any]:
    """Make a sample, train every part on it, measure what hearing brings, and write a report.

    Interrupted, it goes on from the last step that was done, and within a training from its last checkpoint. On a
    processor with several threads AudioBERT and the text-only model are trained at once, the latter in a process of
    its own that prints to `text_only.log`: a script has to call this under `if __name__ == "__main__"`.

    Args:
        recipe (`QuickstartRecipe`).
        tell (`Callable[[str], None]`, *optional*): is given a sentence about each step.

    Returns:
        `dict`, as in `results.json`: `accuracy` (see `measure`), `answers` (see `answer_sentences`), `sample` (rows,
        and what was left out), `seconds` (of the steps that were run; those of the two models may overlap),
        `versions`, `model` (a folder that `pipeline("fill-mask")` loads) and `report` (an HTML file).

    Raises:
        AudioBertInputError: the output folder holds another run, or a part cannot be made (no starter package).
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    root = Path(recipe.output_dir)
    if recipe.language_model is None:
        starter_folder()  # what is not installed is said before anything is written
    recipe = _start(recipe, root)
    steps = _Steps(tell)
    _make_sample(recipe, root, steps)
    language_model = _language_model(recipe, root, steps)
    _train_parts(recipe, root, steps, language_model)
    _train_models(recipe, root, steps, language_model)
    results_file = root / "results.json"
    if not results_file.exists():
        tell("Asking the language model, the text-only model and AudioBERT what they have not been told.")
        started = time.monotonic()
        models = {"language model": language_model, "text only": root / "text_only", "AudioBERT": root / "audiobert"}
        results = {
            "accuracy": measure(models, root / "benchmark"),
            "answers": answer_sentences(root / "audiobert", root / "benchmark"),
            "sample": json.loads((root / "benchmark" / "sample.json").read_text(encoding="utf-8")),
            "versions": versions(),
            "seconds": {**steps.seconds, "measuring": round(time.monotonic() - started, 1)},
        }
        write_json(results, results_file)
    results = json.loads(results_file.read_text(encoding="utf-8"))
    report = write_report(root / "report.html", results, root / "clips")
    return {**results, "model": str(root / "audiobert"), "report": str(report)}


def _make_sample(recipe: QuickstartRecipe, root: Path, steps: _Steps) -> None:
    size = recipe.sample
    sources = sample_sources(recipe.seed, size.calls, size.pitches, size.unseen)
    unseen = sum(source.unseen for source in sources)
    steps(
        "synthesis",
        f"Synthesising {len(sources) * size.variants} clips of {len(sources)} sources, {unseen} of them invented, and "
        f"{size.practice} more for the audio encoder to practise on.",
        root / "clips",
        lambda: write_sample_clips(
            root / "clips", sources, size.variants, recipe.seed, practice_sources(size.practice, recipe.seed)
        ),
    )

    def write() -> None:
        pitches = measure_sources(root / "clips", sources, size.variants, load_audio, workers=1)
        write_sample_benchmark(root / "benchmark", sources, pitches, size, recipe.seed)

    steps("benchmark", "Measuring pitches, and writing sentences about the sounds.", root / "benchmark", write)


def _language_model(recipe: QuickstartRecipe, root: Path, steps: _Steps) -> str:
    if recipe.language_model is not None:
        return recipe.language_model
    steps(
        "language model",
        "Putting the starter language model together: MiniLM and a masked-LM adapter.",
        root / "language_model",
        lambda: build_starter_model(root / "language_model"),
    )
    return str(root / "language_model")


def _train_parts(recipe: QuickstartRecipe, root: Path, steps: _Steps, language_model: str) -> None:
    def train(recipe_class: type, run: Callable, folder: Path, **settings: Any) -> Callable[[], Any]:
        return lambda: run(_part(recipe, recipe_class, output_dir=folder, **settings))

    steps(
        "detector",
        "Training the span detector, which finds the words that name a sound.",
        root / "detector" / "metrics.json",
        train(
            DetectorRecipe,
            train_detector,
            root / "detector",
            data_dir=root / "benchmark",
            language_model=language_model,
            **_ordinary_text(recipe, root),
        ),
    )
    steps(
        "CLAP",
        "Training CLAP: its sound side learns to meet its text side, which finds clips by their captions.",
        root / "clap" / "metrics.json",
        train(
            ClapRecipe,
            train_clap,
            root / "clap",
            clips=root / "clips" / BANK_MANIFEST,
            text_model=_text_model(language_model, root, steps),
            feature_cache=root / "features",
        ),
    )
    steps(
        "audio encoder",
        "Training the audio encoder, which turns a clip into what the language model hears.",
        root / "audio_encoder" / "metrics.json",
        train(
            AudioEncoderRecipe,
            train_audio_encoder,
            root / "audio_encoder",
            clips=root / "clips" / ENCODER_MANIFEST,
            feature_cache=root / "features",
        ),
    )
    steps(
        "audio bank",
        "Encoding the clips into an audio bank, which is searched by their captions.",
        root / "bank",
        lambda: _make_bank(root),
    )


def _make_bank(root: Path) -> None:
    """Make the bank. From the few clips of a sample a CLAP learns by heart at best; it knows captions without that."""
    by_sound, keyed = root / "bank_by_sound", root / "bank_by_caption"
    shutil.rmtree(keyed, ignore_errors=True)  # of a run that was killed while it wrote
    build_bank(
        root / "clips" / BANK_MANIFEST,
        load_bank_encoders(root / "clap", root / "audio_encoder"),
        by_sound,
        BankOptions(embed_audio=True),
    )
    save_keyed_by_captions(by_sound, root / "clap", keyed)
    shutil.rmtree(by_sound)
    keyed.replace(root / "bank")  # last: where it is, the step is done


def _train_models(recipe: QuickstartRecipe, root: Path, steps: _Steps, language_model: str) -> None:
    common = {
        "data_dir": root / "benchmark",
        "language_model": language_model,
        "span_detector": root / "detector",
        "clap": root / "clap",
        "audio_encoder": root / "audio_encoder",
        "bank": root / "bank",
    }
    # What the model's card, and so the web demo, asks first: sentences that it can hear something in.
    card = {"widget": [{"text": row["text"]} for row in example_rows(root / "benchmark")]}
    hearing = _part(recipe, AudioBertRecipe, output_dir=root / "audiobert", card=json.dumps(card), **common)
    reading = _part(recipe, AudioBertRecipe, output_dir=root / "text_only", hearing="text_only", **common)
    sentences = (
        "Training AudioBERT: the language model learns to use what it hears.",
        "Training the same adapter on the same sentences without sound, to compare.",
    )
    ends = root / "audiobert" / "metrics.json", root / "text_only" / "metrics.json"
    if worth_side_by_side() and not any(end.exists() for end in ends):
        for sentence in sentences:
            steps.tell(sentence)
        seconds = run_side_by_side(lambda: train_audiobert(hearing), train_audiobert, reading, root / "text_only.log")
        steps.seconds |= dict(zip(("AudioBERT", "text only"), (round(took, 1) for took in seconds), strict=True))
        return
    steps("AudioBERT", sentences[0], ends[0], lambda: train_audiobert(hearing))
    steps("text only", sentences[1], ends[1], lambda: train_audiobert(reading))


def _part(recipe: QuickstartRecipe, recipe_class: type, **settings: Any) -> Any:
    """Return the recipe of a part: the document of its kind, the folders and seed of this run, the overrides."""
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines += [f"seeds=[{recipe.seed}]", *recipe.overrides.get(recipe_class.kind, [])]
    return load_recipe(recipe_class, recipe.recipe, lines)


def _ordinary_text(recipe: QuickstartRecipe, root: Path) -> dict[str, Any]:
    """Return the detector's settings of text that is not about sounds: a sixth each to measure and to choose by."""
    sixth = recipe.sample.ordinary // 6
    lines = {"measure": sixth, "choose": sixth, "train": recipe.sample.ordinary - 2 * sixth}
    counts = {f"ordinary_text.{name}_lines": count for name, count in lines.items()}
    return {"ordinary_text.path": root / "benchmark" / ORDINARY_FILE, **counts}


def _text_model(language_model: str, root: Path, steps: _Steps) -> str:
    """Return what CLAP's text tower starts from: the language model, or where it is of another family, the starter."""
    if load_part(AutoConfig, language_model).model_type in _TEXT_TOWERS:
        return language_model
    return _language_model(QuickstartRecipe(), root, steps)


def _start(recipe: QuickstartRecipe, folder: Path) -> QuickstartRecipe:
    """Return the recipe with what makes training fast here; refuse a folder that holds something else.

    What is fast is noted with the run, or a run that goes on could be told otherwise by a busy machine.
    """
    settings = {
        "seed": recipe.seed,
        "language_model": recipe.language_model,
        "sample": asdict(recipe.sample),
        "recipe": recipe.recipe,
        "overrides": recipe.overrides,
    }
    noted = folder / SETTINGS_FILE
    if noted.is_file():
        before = json.loads(noted.read_text(encoding="utf-8"))
        differing = [name for name in settings if settings[name] != before.get(name)]
        if differing:
            raise AudioBertInputError(
                f"'{folder}' holds a quickstart with another {' and '.join(differing)}; give another folder with "
                f"--output, or remove it."
            )
        speed = before["speed"]
    elif folder.is_dir() and any(folder.iterdir()):
        raise AudioBertInputError(
            f"'{folder}' holds files that are not of a quickstart; give another folder, --output DIR."
        )
    else:
        speed = speed_settings()
        logger.info("training in %s", "bfloat16" if speed else "float32")
        write_json({**settings, "speed": speed}, noted)
    kinds = (DetectorRecipe.kind, ClapRecipe.kind, AudioEncoderRecipe.kind, AudioBertRecipe.kind)
    return replace(recipe, overrides={kind: [*speed, *recipe.overrides.get(kind, [])] for kind in kinds})
