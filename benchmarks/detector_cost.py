"""What hearing costs on ordinary text: the plain language model beside AudioBERT with each kind of span detector.

    python benchmarks/detector_cost.py --language-model MODEL --batches 20

Prints one JSON document: the language model's forward calls for one batch, and milliseconds for a batch (median, and
its ratio to the plain language model's). Detectors are random with a threshold that no token reaches, so nothing is
heard; the combined one has the probes of three seeds, the separate one has the language model's own shape, as in the
paper. All are measured in turn within each round, so that other load on the machine falls on all of them.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
)

from audiobert import AudioBertForMaskedLM, TrunkDetector, TrunkDetectorConfig
from audiobert.modeling_audiobert.fingerprint import language_model_fingerprint


# Number of probes of each trunk detector.
TRUNKS = {"trunk": 1, "combined trunk": 3}


def main() -> None:
    """Time the models and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language-model", required=True, help="a masked language model")
    parser.add_argument("--rows", type=int, default=32, help="rows of a batch")
    parser.add_argument("--length", type=int, default=24, help="tokens a row")
    parser.add_argument("--batches", type=int, default=20, help="rounds")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    plain = AutoModelForMaskedLM.from_pretrained(arguments.language_model).eval()
    with tempfile.TemporaryDirectory() as folder:
        models = {"plain language model": plain, **assemble(Path(folder), arguments.language_model, plain)}
    size = (arguments.rows, arguments.length)
    inputs = {
        "input_ids": torch.randint(1000, plain.config.vocab_size, size),
        "attention_mask": torch.ones(size, dtype=torch.long),
    }
    milliseconds = measure(models, inputs, arguments.batches)
    base = statistics.median(milliseconds["plain language model"])
    report = {
        "language_model": Path(arguments.language_model).name,
        "rows": arguments.rows,
        "tokens_a_row": arguments.length,
        "threads": torch.get_num_threads(),
        "language_model_passes": {name: count_passes(model, inputs) for name, model in models.items()},
        "milliseconds": {name: round(statistics.median(times), 1) for name, times in milliseconds.items()},
        "ratio": {name: round(statistics.median(times) / base, 3) for name, times in milliseconds.items()},
    }
    print(json.dumps(report, indent=2))  # noqa: T201 - the result


def assemble(folder: Path, language_model: str, plain) -> dict[str, AudioBertForMaskedLM]:
    """Return an AudioBERT of the language model with each kind of detector; CLAP and audio encoder are tiny."""
    save_detectors(folder, language_model, plain)
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    text = ClapTextConfig(num_hidden_layers=1, vocab_size=len(tokenizer), pad_token_id=0, **sizes)
    audio = ClapAudioConfig(depths=[1, 1], num_attention_heads=[2, 2], patch_embeds_hidden_size=8, hidden_size=16)
    ClapModel(ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict())).save_pretrained(folder / "clap")
    ClapFeatureExtractor().save_pretrained(folder / "clap")
    tokenizer.save_pretrained(folder / "clap")
    ASTModel(ASTConfig(num_hidden_layers=1, **sizes)).save_pretrained(folder / "ast")
    ASTFeatureExtractor().save_pretrained(folder / "ast")
    return {
        f"{kind} detector": AudioBertForMaskedLM.from_parts(
            language_model, folder / kind, folder / "clap", folder / "ast", detector_threshold=1.0
        )
        for kind in (*TRUNKS, "separate")
    }


def save_detectors(folder: Path, language_model: str, plain) -> None:
    """Save a random detector of each kind."""
    for kind, num_probes in TRUNKS.items():
        TrunkDetector(
            TrunkDetectorConfig(
                hidden_size=plain.config.hidden_size,
                layer=plain.config.num_hidden_layers // 2,
                attention_layers=1,
                num_probes=num_probes,
                language_model_fingerprint=language_model_fingerprint(plain),
            )
        ).save_pretrained(folder / kind)
    config = AutoConfig.from_pretrained(language_model, num_labels=2)
    AutoModelForTokenClassification.from_config(config).save_pretrained(folder / "separate")
    AutoTokenizer.from_pretrained(language_model).save_pretrained(folder / "separate")


@torch.no_grad()
def measure(models: dict, inputs: dict, batches: int) -> dict[str, list[float]]:
    """Return the milliseconds of each batch of each model; a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(batches + 1):
        for name, model in models.items():
            started = time.perf_counter()
            model(**inputs)
            if number:
                times[name].append(1000 * (time.perf_counter() - started))
    return times


@torch.no_grad()
def count_passes(model, inputs: dict) -> int:
    """Return how often the language model runs for one batch."""
    passes = []
    hook = getattr(model, "language_model", model).register_forward_hook(lambda *_: passes.append(1))
    model(**inputs)
    hook.remove()
    return len(passes)


if __name__ == "__main__":
    main()
