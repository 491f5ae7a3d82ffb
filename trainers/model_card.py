"""Model cards with the facts of a run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData

from audiobert.modeling_audiobert.atomic_files import output_errors

from .recipe import recipe_settings


__all__ = ["CardFacts", "write_model_card"]

_TEMPLATE = """---
{{ card_data }}
---

# {{ title }}

{{ summary }}

## Training

{% for name, value in facts.items() %}- {{ name }}: {{ value }}
{% endfor %}
## Results

| metric | value |
|---|---|
{% for name, value in metrics.items() %}| {{ name }} | {{ value }} |
{% endfor %}
## What it cannot do

{{ limits }}

## Recipe

```yaml
{{ recipe }}```
"""


@dataclass
class CardFacts:
    """What a model card tells. A fact that is `None` reads "not recorded"."""

    title: str
    summary: str
    limits: str
    recipe: Any
    facts: dict[str, Any]
    metrics: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    """Further fields of the card's YAML header, such as `pipeline_tag`."""


def write_model_card(folder: str | Path, facts: CardFacts) -> Path:
    """Write `README.md` into a model folder and return its path.

    Local paths appear by their last part only: the writer's machine is nobody else's business.

    Raises:
        AudioBertInputError: the folder cannot be written to.
    """
    settings = {key: _without_folder(value) for key, value in recipe_settings(facts.recipe).items()}
    settings.pop("output_dir", None)
    card = ModelCard.from_template(
        ModelCardData(library_name="transformers", tags=["audiobert"], **facts.metadata),
        template_str=_TEMPLATE,
        title=facts.title,
        summary=facts.summary,
        limits=facts.limits,
        facts={name: _text(value) for name, value in facts.facts.items()},
        metrics={name: _text(value) for name, value in facts.metrics.items()},
        recipe=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
    )
    path = Path(folder) / "README.md"
    with output_errors(path):
        card.save(path)
    return path


def _text(value: Any) -> str:
    if value is None:
        return "not recorded"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    return f"{value:.4f}" if isinstance(value, float) else str(_without_folder(value))


def _without_folder(value: Any) -> Any:
    return Path(value).name if isinstance(value, Path) or (isinstance(value, str) and _exists(value)) else value


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long to be a path, or with a null character in it
        return False
