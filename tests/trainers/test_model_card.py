"""Model cards."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from audiobert.trainers.model_card import CardFacts, write_model_card


@dataclass
class Recipe:
    kind: ClassVar[str] = "test"
    output_dir: Path


def test_a_card_tells_long_facts_in_full_and_paths_by_their_last_part(tmp_path):
    licences = ", ".join(f"a licence with a long name, number {number}" for number in range(200))
    facts = {"licences": licences, "base": str(tmp_path), "rows": None, "share": 0.25}
    card = CardFacts("Title", "Summary.", "Limits.", Recipe(tmp_path / "run"), facts, metrics={"f1": 0.5})
    text = write_model_card(tmp_path, card).read_text(encoding="utf-8")
    assert licences in text
    assert f"base: {tmp_path.name}\n" in text
    assert str(tmp_path) not in text
    assert "rows: not recorded\n" in text
    assert "share: 0.2500\n" in text
