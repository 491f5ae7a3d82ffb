"""The form of the answers, as pydantic models: the schema that is sent, and what answers are validated by."""

from typing import Annotated, Literal

from audiobert.modeling_audiobert.errors import AudioBertInputError


try:
    from pydantic import BaseModel, ConfigDict, Field
except ModuleNotFoundError as error:
    raise AudioBertInputError(
        'answers are validated with pydantic, which is not installed: pip install "audiobert[construct]".'
    ) from error


__all__ = ["AnimalItem", "AnimalItems", "Category", "PitchItem", "PitchItems"]

Level = Annotated[str, Field(pattern=r"^[a-z][a-z0-9' -]{0,39}$")]
Broad = Literal[
    "animal",
    "human",
    "instrument",
    "vehicle",
    "machine",
    "household",
    "nature",
    "signal",
    "effect",
    "place",
    "other",
]
Sentence = Annotated[str, Field(min_length=12, max_length=300)]
Words = Annotated[str, Field(min_length=1, max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Category(_Strict):
    """What makes the sound, from the broadest to the narrowest; the broadest is out of a closed list."""

    broad: Broad
    source: Level
    kinds: Annotated[list[Level], Field(max_length=2)]

    def path(self) -> str:
        """Return the category as a path, such as "animal/dog/pomeranian"."""
        levels = [self.broad, self.source, *self.kinds]
        return "/".join(level for index, level in enumerate(levels) if level not in levels[:index])


class AnimalItem(_Strict):
    """A sentence with a masked animal."""

    sentence: Sentence
    span: Words
    answer: Words


class AnimalItems(_Strict):
    """Several sentences on one clip."""

    items: Annotated[list[AnimalItem], Field(min_length=1, max_length=16)]


class PitchItem(_Strict):
    """A sentence that compares two clips."""

    sentence: Sentence
    span_1: Words
    span_2: Words
    answer: Literal["higher", "lower"]


class PitchItems(_Strict):
    """Several sentences on one pair of clips."""

    items: Annotated[list[PitchItem], Field(min_length=1, max_length=16)]
