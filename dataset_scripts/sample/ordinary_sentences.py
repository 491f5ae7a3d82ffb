"""Sentences of ours in which nothing sounds, so that a span detector learns to leave ordinary text alone."""

import itertools

import numpy as np


__all__ = ["ordinary_sentences"]

_FRAMES = (
    ("{} {} {}.", 3),
    ("In the {3}, {0} {1} {2}.", 4),
    ("{0} {1} {2} and then went to the {3}.", 4),
)
_WHO = ("the old woman", "a farmer", "my brother", "the teacher", "the dog", "every child", "the mayor", "a tall man",
        "the cat", "our neighbour", "the doctor", "a young painter", "the bird", "the horse", "nobody")  # fmt: skip
_DOES = ("bought", "found", "carried", "forgot", "painted", "wanted", "sold", "dropped", "liked", "hid", "saw", "lost")
_WHAT = ("a red apple", "the newspaper", "a wooden chair", "some bread", "the blue coat", "a small garden", "the map",
         "two letters", "a cup of tea", "the key", "a pair of shoes", "the old house", "a bag of stones")  # fmt: skip
_WHERE = ("village", "kitchen", "winter", "market", "morning", "forest", "office", "summer", "station", "city")
_FACTS = tuple(
    f"{subject} {rest}"
    for subject, rest in (
        ("Paris", "is the capital of France."),
        ("Water", "boils at one hundred degrees."),
        ("The sun", "rises in the east."),
        ("A week", "has seven days."),
        ("Snow", "is white and cold."),
        ("Bread", "is made of flour and water."),
        ("The heart", "pumps blood through the body."),
        ("A triangle", "has three sides."),
        ("Gold", "is heavier than iron."),
        ("The moon", "is smaller than the earth."),
        ("A horse", "has four legs."),
        ("The cat", "is an animal with soft fur."),
    )
)


def ordinary_sentences(count: int, seed: int = 0) -> list[str]:
    """Return `count` different sentences in an order drawn by `seed`."""
    sentences = list(_FACTS)
    for (frame, places), who, does, what, where in itertools.product(_FRAMES, _WHO, _DOES, _WHAT, _WHERE):
        words = (who, does, what, where)[:places]
        if places == 4 or where == _WHERE[0]:
            sentence = frame.format(*words)
            sentences.append(sentence[0].upper() + sentence[1:])
    order = np.random.default_rng([seed, 17]).permutation(len(sentences) - len(_FACTS)) + len(_FACTS)
    chosen = [*range(len(_FACTS)), *order.tolist()][:count]
    return [sentences[place] for place in np.random.default_rng([seed, 19]).permutation(chosen)]
