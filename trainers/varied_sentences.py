"""Sentences unlike the benchmark's around the sounds that it names, for span detectors to learn from."""

import random
import re
from collections.abc import Sequence
from typing import Any

from .masked_sentences import GAP


__all__ = ["SoundWords", "varied_rows"]

# All ours. "{}" is where the sound is named, "[MASK]" the gap, "<>" an adjective or nothing; in the last group nothing
# sounds.
_CALLED = (
    "We could hear the <> {} of a [MASK].",
    "The {} of the [MASK] kept us up half the night.",
    "A sudden {} made the [MASK] jump.",
    "From behind the [MASK] came a <> {}.",
    "The [MASK] let out a <> {} and went on eating.",
    "There was a <> {} somewhere near the [MASK].",
    "With a {}, the [MASK] disappeared into the dark.",
    "Nobody at the [MASK] noticed the {}.",
    "What a {}! It must be a [MASK].",
    "My uncle can imitate the {} of a [MASK] perfectly.",
    "Then the {} stopped, and the [MASK] was quiet again.",
    "At dawn a <> {} rose from the [MASK].",
    "The {} grew louder as we came nearer to the [MASK].",
    "The {} of [MASK] is easy to recognise.",
    "A <> {} from the [MASK].",
    "The <> {} of the [MASK].",
    "The [MASK] fell over with a <> {}.",
    "They mistook it for the {} of an old [MASK].",
    "I recorded a long {} on my [MASK].",
    "His <> {} gave the [MASK] away.",
    "After the {}, the [MASK] stood still.",
)
_DOING = (
    "A [MASK] was {} in the yard.",
    "Something kept {} outside the [MASK].",
    "Stop {}, you silly [MASK]!",
    "She woke up because of the {} in the [MASK].",
    "Far away a [MASK] started {}.",
    "The <> {} of the [MASK] filled the whole valley.",
    "I lay awake and listened to the {} [MASK].",
    "All night long there was {} from the [MASK].",
    "The {} [MASK] on the roof.",
    "Her <> {} annoyed the whole [MASK].",
    "The [MASK] came in, {} and wet.",
    "They were {} under the [MASK] until noon.",
    "Such {} is normal for a [MASK].",
)
_TO_DO = (
    "The [MASK] began to {}.",
    "Suddenly it started to {}, and everyone looked at the [MASK].",
    "Did you hear that [MASK] {} last night?",
    "These [MASK]s {} whenever a stranger passes.",
    "Let the [MASK] {} again.",
    "Old [MASK]s {} in the wind.",
)
_DID = (
    "The [MASK] {} and ran away.",
    "It {} so loudly that the [MASK] shook.",
    "An old [MASK] {} in the distance.",
    "The [MASK] {} twice before it fell silent.",
    "The [MASK] {}.",
    "He {} at the [MASK] in the street.",
    "The [MASK] {} against the wall.",
    "She {} softly while the [MASK] slept.",
)
_THING = (
    "Listen to the {} in the [MASK].",
    "The noise of the {} came through the [MASK].",
    "Is that a {} or a [MASK] that I hear?",
    "You can hear a {} at the beginning of the song about the [MASK].",
    "The {} was so loud that the [MASK] complained.",
    "The sound of the {} reminded her of the [MASK].",
    "From the [MASK] we heard a {}.",
    "The <> tone of the {} carried as far as the [MASK].",
    "The recording of a {} was played in the [MASK].",
)
_COMPARED = (
    "A {} sounds [MASK] than a {}.",
    "Compared with the {}, the {} sounds rather [MASK].",
    "Which is [MASK], the sound of a {} or that of a {}?",
    "The tone of the {} lies [MASK] than that of the {}.",
    "To my ear the {} is a little [MASK] than the {}.",
)
_NOT_HEARD = (
    "The {} was bought in the [MASK] for little money.",
    "A picture of a {} hangs in the [MASK].",
    'The word "{}" has more letters than [MASK].',
    "We left the {} in the [MASK] last summer.",
    "The history of the {} begins with a [MASK].",
    "A {} weighs more than a [MASK].",
    "The {} was made of an old [MASK].",
    "Nobody has repaired the {} since the [MASK] left.",
)
_ADJECTIVES = ("", "", "", "", "", "loud", "soft", "sharp", "distant", "dull", "faint", "sudden", "strange", "steady")
# What may stand in the gap of sentences that are taught without one.
_FILLINGS = (
    "dog cat bird horse child man woman neighbour teacher train car door window clock machine wind river "
    "kitchen street forest crowd ship boy girl house garden bell phone fire wave glass leaf wheel stranger"
)
_COMPARISONS = ("higher", "lower", "brighter", "deeper", "darker", "shriller")
# Words for sounds beside those of the rows, mostly of things: a noun and a verb each.
_MORE = (
    "bang beep blare boom buzz chime clang clap clatter click cough crackle crash creak crunch drip drum fizz giggle "
    "groan gurgle hiss hoot hum jingle knock laugh murmur patter peal ping pop rattle ring roar rumble rustle scrape "
    "screech shriek sizzle slam snap sob splash squeak strum swish thud thump thunder tick tinkle toll wail whine "
    "whirr whistle"
)
_PAST = {"sing": "sang", "ring": "rang"}
# Verbs that more often than not are used of something else than a sound.
_OTHER = {"bell", "bite", "breath", "call", "cling", "gallop", "scurry", "shoot", "slap", "waddle"}
_NAME = re.compile(r"[a-z][a-z'-]*(?: [a-z'-]+){0,3}")
_LEADING = re.compile(r"^(?:the )?sounds? (?:of|made by|from) (?:an? |the )?|^(?:an? |the )", re.IGNORECASE)


class SoundWords:
    """Words for sounds: those that the spans of some rows name, and some of ours.

    Args:
        rows: of the benchmark, with `task` and `spans`.

    Attributes:
        calls (`list[str]`): a sound in its own right ("long growl").
        to_do (`list[str]`), doing (`list[str]`), did (`list[str]`): single words, as verbs ("growl", "growling",
            "growled"); of the rows those that have both of the first two.
        things (`list[str]`): what makes a sound ("bass guitar").
    """

    def __init__(self, rows: Sequence[dict[str, Any]]):
        spans: dict[bool, set[str]] = {True: set(), False: set()}
        for row in rows:
            texts = (_LEADING.sub("", span["text"].lower()) for span in row["spans"] if span["start"] >= 0)
            spans[row["task"] == "animal_sound_recognition"].update(text for text in texts if _NAME.fullmatch(text))
        more = set(_MORE.split())
        doing = {verb: _doing_of(verb) for verb in sorted((spans[True] | more) - _OTHER) if " " not in verb}
        verbs = [verb for verb, form in doing.items() if verb in more or form in spans[True]]
        self.calls = sorted({text for text in spans[True] if not text.endswith("ing")} | more)
        self.things = sorted(spans[False])
        self.to_do = verbs
        self.doing = [doing[verb] for verb in verbs]
        self.did = [_past_of(verb, doing[verb]) for verb in verbs]

        self._known = {"sound", "noise", *self.to_do, *self.doing, *self.did}

    def occur_in(self, sentence: str) -> bool:
        """Return whether a sentence has one of the verbs in it, or the words sound and noise."""
        words = re.findall("[a-z]+", sentence.lower())
        return any(word in self._known or word.removesuffix("s") in self._known for word in words)


def varied_rows(rows: Sequence[dict[str, Any]], count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return new rows: sounds in sentences of other forms than the benchmark's, half of them without a gap.

    In about one of eight, what could sound does not.

    Args:
        rows: of the benchmark, with `task` and `spans`; the sounds are mostly theirs.
        count (`int`): how many.
        seed (`int`): of the draws.

    Returns:
        `list[dict]`: rows with `id`, `sentence` (gap as `[MASK]`) and `spans` (`text`, `start`, `end`).
    """
    words = SoundWords(rows)
    groups = [
        (4, _CALLED, words.calls, _FILLINGS.split()),
        (3, _DOING, words.doing, _FILLINGS.split()),
        (2, _TO_DO, words.to_do, _FILLINGS.split()),
        (3, _DID, words.did, _FILLINGS.split()),
        (2, _THING, words.things, _FILLINGS.split()),
        (2, _COMPARED, words.things, _COMPARISONS),
        (2, _NOT_HEARD, [thing for thing in words.things if " " not in thing], _FILLINGS.split()),
    ]
    groups = [group for group in groups if group[2]]
    draws = random.Random(seed)
    made = []
    for number in range(count):
        _, sentences, names, fillings = draws.choices(groups, [group[0] for group in groups])[0]
        sentence = draws.choice(sentences).replace("<> ", f"{draws.choice(_ADJECTIVES)} ".lstrip())
        if draws.random() < 0.5:
            sentence = sentence.replace(GAP, draws.choice(fillings))
        sentence, spans = _named(sentence, names, draws)
        made.append(
            {"id": f"varied {number}", "sentence": sentence, "spans": [] if sentences is _NOT_HEARD else spans}
        )
    return made


def _named(sentence: str, names: Sequence[str], draws: random.Random) -> tuple[str, list[dict[str, Any]]]:
    text, spans = "", []
    for part in re.split(r"(\{\})", sentence):
        if part != "{}":
            text += part
            continue
        name = draws.choice(names)
        if text.lower().endswith(" a ") and name[0] in "aeiou":
            text = text[:-1] + "n "
        spans.append({"text": name, "start": len(text), "end": len(text) + len(name)})
        text += name
    return text, spans


def _doing_of(verb: str) -> str:
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    doubled = re.fullmatch("[^aeiou]*[aeiou][bdgklmnpt]", verb)
    return f"{verb}{verb[-1] if doubled else ''}ing"


def _past_of(verb: str, doing: str) -> str:
    if verb in _PAST:
        return _PAST[verb]
    if re.search("[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    return verb + "d" if verb.endswith("e") else doing[:-3] + "ed"
