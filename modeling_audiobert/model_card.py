"""The model card that an AudioBERT is saved with: what it is made of, what its bank holds, and what a run recorded."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

from huggingface_hub import EvalResult, ModelCardData


__all__ = ["RunFacts", "audiobert_card", "renamed_card"]

_PARTS = "## What it is made of"
_UNKNOWN = "not recorded"
_SHOWN_LICENCES = 20
_KEYS_FROM = {"audio": "sounds", "captions": "captions"}
_EXAMPLES = (
    "Meow is the sound a {mask} makes.",
    "The sound of a piccolo has a {mask} pitch than the sound of a tuba.",
)
_LIMITS = (
    "It can only hear what its audio bank holds, takes the most similar clip for the right one, and knows the English "
    "of the sentences that it was trained on. A span that is not found, or a wrong clip, misleads it; look at the "
    "evidence. It inherits what its language model was taught, prejudices included."
)
_CITATION = """@article{ok2024audiobert,
  title   = {AudioBERT: Audio Knowledge Augmented Language Model},
  author  = {Ok, Hyunjong and Yoo, Suho and Lee, Jaeho},
  journal = {arXiv preprint arXiv:2409.08199},
  year    = {2024}
}"""
_TEMPLATE = Template(
    """---
$header
---

# AudioBERT

A masked language model that hears: it finds the words of a sentence that name a sound, retrieves a matching clip from
its audio bank, and injects the clip's embedding there ([arXiv 2409.08199](https://arxiv.org/abs/2409.08199)). A
sentence without such words gets the predictions of the language model that it was made from, bit for bit.

## How to use it

With transformers alone, by the code that lies beside the weights:

```python
from transformers import pipeline

hear = pipeline("audio-fill-mask", model="$name", trust_remote_code=True)
answer = hear("$example")
answer["predictions"]  # with hearing; answer["hearing_off"] is the language model alone
answer["spans"]  # the words that were heard, with their clips and similarities
```

`pipeline("fill-mask", ...)` gives the predictions only, in the usual form. With `pip install audiobert`:

```bash
audiobert fill-mask $name "$example"
audiobert demo $name
audiobert evaluate $name --split test
```

## What it is made of

| part | type | parameters |
|---|---|--:|
$parts

$settings

## Audio bank

$bank

## Training

$training

## Results

$results

## What it cannot do

$limits

## Environmental impact

$environment

## Citation

```bibtex
$citation
```
$recipe"""
)


@dataclass
class RunFacts:
    """What only the run that made a model knows. A fact that is None reads "not recorded".

    Args:
        training (`Mapping[str, Any]`): facts of the training and its data, by name.
        results (`Sequence[EvalResult]`): for the table and the card's `model-index`.
        environment (`Mapping[str, Any]`): hours, hardware, emissions.
        recipe (`str`, *optional*): YAML that repeats the run.
        limits (`str`): what the model cannot do.
        metadata (`Mapping[str, Any]`): more of the card's header: `license`, `base_model`, `widget` …
    """

    training: Mapping[str, Any] = field(default_factory=dict)
    results: Sequence[EvalResult] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    limits: str = _LIMITS
    metadata: Mapping[str, Any] = field(default_factory=dict)


def audiobert_card(model: Any, name: str, run: RunFacts | None = None) -> str:
    """Return the model card of an AudioBERT, with its YAML header.

    Args:
        model (`AudioBertForMaskedLM`): whose parts and bank are described.
        name (`str`): the Hub id or folder that the examples load.
        run (`RunFacts`, *optional*): what the run that made it recorded.
    """
    run = run or RunFacts()
    mask_token = model.retriever.tokenizer.mask_token if model.retriever is not None else "[MASK]"
    examples = [example.format(mask=mask_token) for example in _EXAMPLES]
    return _TEMPLATE.substitute(
        header=_header(name, examples, run),
        name=name,
        example=examples[0],
        parts="\n".join(_parts(model)),
        settings=_settings(model.config),
        bank=_bank(model),
        training=_listed(run.training) or f"{_UNKNOWN}: only the code that trained it could tell.",
        results=_results(run.results),
        limits=run.limits,
        environment=_listed({"hours of training": None, "hardware": None, "CO2": None} | dict(run.environment)),
        citation=_CITATION,
        recipe=f"\n## Recipe\n\n```yaml\n{run.recipe.rstrip()}\n```\n" if run.recipe else "",
    )


def renamed_card(text: str, old: str, new: str) -> str:
    """Return a card with its examples loading the model under another name."""
    before, heading, after = text.partition(_PARTS)
    calls = rf'(model="|audiobert (?:fill-mask|demo|evaluate) ){re.escape(old)}(?=[" \n])'
    return re.sub(calls, lambda call: call[1] + new, before) + heading + after


def _header(name: str, examples: list[str], run: RunFacts) -> str:
    data = ModelCardData(
        **{
            "language": "en",
            "library_name": "transformers",
            "pipeline_tag": "fill-mask",
            "tags": ["audiobert", "audio", "retrieval"],
            "widget": [{"text": example} for example in examples],
            "model_name": name.rpartition("/")[2] if run.results else None,
            "eval_results": list(run.results) or None,
            **run.metadata,
        }
    )
    return data.to_yaml().strip()


def _parts(model: Any) -> list[str]:
    parts = {
        "language model, with its adapter": (model.language_model, model.config.text_config.model_type),
        "span detector": (model.span_detector, model.config.detector_config.model_type),
        "CLAP's text tower": (model.clap_text, "clap"),
        "audio encoder": (model.audio_encoder, model.config.audio_config.model_type),
    }
    return [
        f"| {part} | {kind} | {sum(weight.numel() for weight in module.parameters()):,} |"
        for part, (module, kind) in parts.items()
    ]


def _settings(config: Any) -> str:
    return (
        f"A value is injected by `{config.injection}` at the first token of its span; {config.num_clips} clip(s) a "
        f"span, of cosine similarity {config.min_similarity:g} or more; query `{config.query_template}`; LoRA of rank "
        f"{config.lora_r}, alpha {config.lora_alpha}, on `{'`, `'.join(config.lora_target_modules)}`."
    )


def _bank(model: Any) -> str:
    if model.retriever is None or not len(model.retriever.bank):
        return "Empty: it hears only what it is given."
    bank = model.retriever.bank
    columns = bank.clips.select(["licence", "duration_seconds"]).to_pydict()
    hours = sum(seconds or 0.0 for seconds in columns["duration_seconds"]) / 3600
    sounding = len(bank) - bank.clips["audio"].null_count
    licences = Counter(licence or _UNKNOWN for licence in columns["licence"]).most_common()
    rows = [f"| {licence.replace('|', '/')} | {count:,} |" for licence, count in licences[:_SHOWN_LICENCES]]
    if len(licences) > _SHOWN_LICENCES:
        rest = licences[_SHOWN_LICENCES:]
        rows.append(f"| {len(rest)} others, see `bank/clips.parquet` | {sum(count for _, count in rest):,} |")
    return (
        f"{len(bank):,} clips, {hours:.2f} hours; the sounds themselves of {sounding:,} of them. Keys from their "
        f"{_KEYS_FROM[bank.key_source]} by CLAP `{bank.key_fingerprint}`, values by audio encoder "
        f"`{bank.value_fingerprint}`. Licences, as stated by the clips' sources:\n\n| licence | clips |\n|---|--:|\n"
        + "\n".join(rows)
    )


def _results(results: Sequence[EvalResult]) -> str:
    if not results:
        return f'{_UNKNOWN}: "audiobert evaluate" measures it.'
    rows = [
        f"| {result.dataset_name} | {result.dataset_config} | {result.dataset_split} "
        f"| {result.metric_name or result.metric_type} | {result.metric_value} |"
        for result in results
    ]
    return "\n".join(["| benchmark | task | split | metric | value |", "|---|---|---|---|--:|", *rows])


def _listed(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {_UNKNOWN if value is None else value}" for name, value in facts.items())
