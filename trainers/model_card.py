"""Model cards with the facts of a run."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData

from audiobert.modeling_audiobert.atomic_files import output_errors

from .recipe import recipe_settings


__all__ = ["CardFacts", "hub_id", "recipe_text", "told", "write_model_card"]

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
    card = ModelCard.from_template(
        ModelCardData(library_name="transformers", tags=["audiobert"], **facts.metadata),
        template_str=_TEMPLATE,
        title=facts.title,
        summary=facts.summary,
        limits=facts.limits,
        facts={name: told(value) for name, value in facts.facts.items()},
        metrics={name: told(value) for name, value in facts.metrics.items()},
        recipe=recipe_text(facts.recipe),
    )
    path = Path(folder) / "README.md"
    with output_errors(path):
        card.save(path)
    return path


def recipe_text(recipe: Any) -> str:
    """Return a resolved recipe as YAML, folders by their last part only."""
    settings = {key: _without_folder(value) for key, value in recipe_settings(recipe).items()}
    settings.pop("output_dir", None)
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


def hub_id(name_or_path: str) -> str | None:
    """Return the Hub id that a checkpoint was named by; None for a folder."""
    return name_or_path if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name_or_path) and not _exists(name_or_path) else None


def told(value: Any) -> str:
    """Return a fact as a card tells it: folders by their last part only, None as "not recorded"."""
    if value is None:
        return "not recorded"
    if isinstance(value, dict):
        return ", ".join(f"{key} {told(entry)}" for key, entry in value.items())
    return f"{value:.4f}" if isinstance(value, float) else str(_without_folder(value))


def _without_folder(value: Any) -> Any:
    return Path(value).name if isinstance(value, Path) or (isinstance(value, str) and _exists(value)) else value


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long to be a path, or with a null character in it
        return False
