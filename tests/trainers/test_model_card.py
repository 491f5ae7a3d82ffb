"""Cards with the facts of a run."""

from pathlib import Path

from audiobert.trainers.detector_training import DetectorRecipe
from audiobert.trainers.model_card import CardFacts, write_model_card


def test_facts_of_any_length_are_told_and_unknown_ones_said_to_be_and_folders_are_not_named(tmp_path):
    licences = ", ".join(f"licence {number} (1)" for number in range(200))
    facts = {"licences": licences, "nothing": None, "data": Path(tmp_path / "bench"), "base": str(tmp_path)}
    card = CardFacts("A title", "A summary.", "Everything.", DetectorRecipe(), facts, {"accuracy": 0.5})
    text = write_model_card(tmp_path, card).read_text(encoding="utf-8")
    assert f"- licences: {licences}" in text
    assert "- nothing: not recorded" in text
    assert "- data: bench" in text
    assert str(tmp_path) not in text
