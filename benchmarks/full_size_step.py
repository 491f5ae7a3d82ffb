"""Assemble an AudioBERT of the paper's sizes from randomly initialised parts, and train it for a few steps.

    python benchmarks/full_size_step.py --rows 4

Prints one JSON document: seconds of each stage, parameters, and the peak memory of the process. The parts have the
shapes of google-bert/bert-base-uncased (language model and span detector), laion/clap-htsat-fused and
MIT/ast-finetuned-audioset-10-10-0.4593; their weights are random, so nothing is downloaded; that the loss
falls shows that the batch is being learnt, and nothing more.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    PreTrainedTokenizerFast,
)

from audiobert import AudioBank, AudioBertForMaskedLM, AudioBertTrainer
from audiobert.modeling_audiobert.audio_bank import CLIP_SCHEMA
from audiobert.trainers.audiobert_recipe import AudioBertRecipe
from audiobert.trainers.collation import EncodedRow
from audiobert.trainers.recipe import load_recipe
from audiobert.trainers.training_run import training_arguments


def main() -> None:
    """Time the stages and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4, help="rows of the batch; each brings a sound of its own")
    parser.add_argument("--length", type=int, default=32, help="tokens a row")
    parser.add_argument("--steps", type=int, default=6, help="steps on that batch, by the recipe paper_base")
    parser.add_argument("--bf16", action="store_true", help="compute in bf16")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    seconds, started = {}, time.perf_counter()

    def note(stage: str) -> None:
        nonlocal started
        seconds[stage] = round(time.perf_counter() - started, 2)
        started = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        parts = save_parts(Path(folder))
        note("initialise and save the parts")
        model = AudioBertForMaskedLM.from_parts(**parts)
        model.bank = random_bank(model, 1000)
        note("from_parts")
        model.save_pretrained(Path(folder) / "audiobert")
        note("save_pretrained")
        model = AudioBertForMaskedLM.from_pretrained(Path(folder) / "audiobert")
        note("from_pretrained")
        trained = train(model, arguments, Path(folder) / "run")
        note("training")
    report = {
        "rows": arguments.rows,
        "tokens_a_row": arguments.length,
        "threads": torch.get_num_threads(),
        "parameters": {name: count(part) for name, part in model.named_children()},
        "trained_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "precision": "bf16" if arguments.bf16 else "float32",
        "seconds": seconds,
        **trained,
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    print(json.dumps(report, indent=2))  # noqa: T201 - the script's output


def save_parts(folder: Path) -> dict[str, Path]:
    """Save the four parts as a user would find them on the Hub."""
    models_by_part = {
        "language_model": (BertForMaskedLM(BertConfig()), bert_tokenizer(BertConfig().vocab_size), None),
        "span_detector": (BertForTokenClassification(BertConfig()), bert_tokenizer(BertConfig().vocab_size), None),
        "clap": (ClapModel(ClapConfig()), bert_tokenizer(50265), ClapFeatureExtractor(truncation="fusion")),
        "audio_encoder": (ASTModel(ASTConfig()), None, ASTFeatureExtractor()),
    }
    for part, saved in models_by_part.items():
        for thing in filter(None, saved):
            thing.save_pretrained(folder / part)
    return {part: folder / part for part in models_by_part}


def bert_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A tokenizer with a vocabulary of the right size; its words mean nothing."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + [f"word{index}" for index in range(size - len(special))]
    backend = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{token.strip('[]').lower()}_token": token for token in special}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **names)


def random_bank(model: AudioBertForMaskedLM, count: int) -> AudioBank:
    """A bank of random keys and values."""
    empty = {"label": "", "path": "", "caption": "", "licence": "", "audio": None, "duration_seconds": 1.0}
    clips = pa.Table.from_pylist([{"id": str(index), **empty} for index in range(count)], schema=CLIP_SCHEMA)
    config = model.config
    keys, values = (
        torch.randn(count, config.clap_config.projection_dim),
        torch.randn(count, config.audio_config.hidden_size),
    )
    return AudioBank(clips, keys, values, config.clap_fingerprint, config.audio_encoder_fingerprint)


class RandomFeatures(Sequence):
    """Log-mel features of the bank's clips, which are noise, each its own."""

    def __init__(self, model: AudioBertForMaskedLM):
        self.shape = (model.config.audio_config.max_length, model.config.audio_config.num_mel_bins)
        self.count = len(model.bank)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(index))


def train(model: AudioBertForMaskedLM, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train as the paper does, on one batch in which every row hears a sound; return losses and seconds a step."""
    settings = {"max_steps": arguments.steps, "per_device_train_batch_size": arguments.rows, "logging_steps": 1}
    settings |= {"save_strategy": "no", "use_cpu": True, "bf16": arguments.bf16, "disable_tqdm": True}
    overrides = [f"training.{name}={str(value).lower()}" for name, value in settings.items()]
    recipe = load_recipe(AudioBertRecipe, "paper_base", overrides)
    rows = []
    for clip in range(arguments.rows):
        token_ids = torch.randint(5, model.config.text_config.vocab_size, (arguments.length,)).tolist()
        labels = [-100] * 5 + [token_ids[5]] + [-100] * (arguments.length - 6)
        masked = [*token_ids[:5], 4, *token_ids[6:]]
        rows.append(EncodedRow(masked, labels, [(1, 3)], [[clip]], [[1.0]]))
    trainer = AudioBertTrainer(
        model=model,
        args=training_arguments(recipe, folder, 0),
        train_dataset=rows,
        features=RandomFeatures(model),
    )
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        trainer.train()
    history = trainer.state.log_history
    return {
        "losses": [entry["loss"] for entry in history if "loss" in entry],
        "seconds_a_step": round(history[-1]["train_runtime"] / arguments.steps, 2),
        "data_wait_share": round(trainer.data_wait_share, 4),
    }


def count(module: torch.nn.Module) -> int:
    """Return the number of a module's parameters."""
    return sum(weight.numel() for weight in module.parameters())


if __name__ == "__main__":
    main()
