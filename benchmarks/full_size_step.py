"""Assemble an AudioBERT of the paper's sizes from randomly initialised parts, and run one training step.

    python benchmarks/full_size_step.py --rows 4

Prints one JSON document: seconds of each stage, parameters, and the peak memory of the process. The parts have the
shapes of google-bert/bert-base-uncased (language model and span detector), laion/clap-htsat-fused and
MIT/ast-finetuned-audioset-10-10-0.4593; their weights are random, so nothing is downloaded and the loss means nothing.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

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

from audiobert import AudioBank, AudioBertForMaskedLM
from audiobert.modeling_audiobert.audio_bank import CLIP_SCHEMA


def main() -> None:
    """Time the stages and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4, help="rows of the batch; each brings a sound of its own")
    parser.add_argument("--length", type=int, default=32, help="tokens a row")
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
        model = AudioBertForMaskedLM.from_pretrained(Path(folder) / "audiobert").train()
        note("from_pretrained")
        loss = training_step(model, arguments.rows, arguments.length)
        note("training step")
    report = {
        "rows": arguments.rows,
        "tokens_a_row": arguments.length,
        "threads": torch.get_num_threads(),
        "parameters": {name: count(part) for name, part in model.named_children()},
        "trained_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "seconds": seconds,
        "loss": loss,
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


def training_step(model: AudioBertForMaskedLM, rows: int, length: int) -> float:
    """Run forward, backward and update on a batch in which every row hears a sound; return the loss."""
    input_ids = torch.randint(5, model.config.text_config.vocab_size, (rows, length))
    labels = torch.full_like(input_ids, -100)
    labels[:, 5] = input_ids[:, 5]
    input_ids[:, 5] = 4
    config = model.config.audio_config
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=3e-4)
    output = model(
        input_ids=input_ids,
        attention_mask=torch.ones_like(input_ids),
        labels=labels,
        span_positions=torch.tensor([[[1, 3]]]).expand(rows, -1, -1),
        audio_values=torch.randn(rows, config.max_length, config.num_mel_bins),
        audio_ids=torch.arange(rows)[:, None],
    )
    output.loss.backward()
    optimizer.step()
    return output.loss.item()


def count(module: torch.nn.Module) -> int:
    """Return the number of a module's parameters."""
    return sum(weight.numel() for weight in module.parameters())


if __name__ == "__main__":
    main()
