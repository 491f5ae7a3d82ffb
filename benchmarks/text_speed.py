"""Filling masks in text: the plain language model, AudioBERT with either detector, and the released procedure."""

from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from random_models import RandomModels, sentences
from released_procedure import ReleasedProcedure
from timing import Settings, interleaved
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert import AudioBank


__all__ = ["auditory_text", "fill", "ordinary_text", "threads"]

WORDS = 24
BATCHES = (1, 8, 32)
LENGTHS = (8, 24, 60, 120)
PLAIN = "plain language model"


@torch.no_grad()
def fill(model: torch.nn.Module, tokenizer, texts: list[str]) -> list[list[int]]:
    """Return the 5 best tokens for the mask of each sentence: from text, as a user gets them."""
    inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    logits = model(**inputs).logits
    return logits[inputs["input_ids"] == tokenizer.mask_token_id].topk(5).indices.tolist()


def filling(models: dict[str, torch.nn.Module], tokenizer, texts: list[str]) -> dict[str, Callable]:
    """Return an action for each model."""
    return {name: partial(fill, model, tokenizer, texts) for name, model in models.items()}


def plain_model(made: RandomModels) -> torch.nn.Module:
    """Return the language model alone."""
    return AutoModelForMaskedLM.from_pretrained(made.part("language_model")).eval()


def ordinary_text(settings: Settings) -> dict:
    """Measure sentences in which nothing is to be heard."""
    made = RandomModels(settings.size, settings.cache)
    models = {PLAIN: plain_model(made)}
    models |= {f"{kind} detector": made.model(kind, settings.banks[0]) for kind in ("trunk", "separate")}
    tokenizer = AutoTokenizer.from_pretrained(made.part("language_model"))
    found = {"words": WORDS, "batches": {}, "lengths": {}, "bit_for_bit_equal": True}
    for batch in BATCHES:
        texts = sentences(batch, WORDS, 0)
        found["bit_for_bit_equal"] &= _equal_without_hearing(models, tokenizer, texts)
        rounds = settings.rounds * (5 if batch == 1 else 1)
        found["batches"][batch] = interleaved(filling(models, tokenizer, texts), rounds, PLAIN)
    for words in LENGTHS:
        texts = sentences(4, words, 0)
        found["lengths"][words] = interleaved(filling(models, tokenizer, texts), settings.rounds, PLAIN)
    return found


def auditory_text(settings: Settings) -> dict:
    """Measure sentences of which each has a word to be heard, with banks of all sizes; and compare what comes out."""
    made = RandomModels(settings.size, settings.cache)
    plain, tokenizer = plain_model(made), AutoTokenizer.from_pretrained(made.part("language_model"))
    models = {kind: made.model(kind, settings.banks[0]) for kind in ("trunk", "separate")}
    found = {"words": WORDS, "spans_a_sentence": 1, "banks": {}}
    for clips in settings.banks:
        bank = AudioBank.load(made.bank(clips), index="exact")
        indexed = bank.with_values(bank.values, bank.value_fingerprint)
        if clips == settings.banks[-1]:  # by default a large bank has an index, which takes half a minute to make
            indexed.build_index()
        banks = {"exact": bank} | ({"indexed": indexed} if indexed.index else {})
        released = ReleasedProcedure(models["separate"], bank.keys.numpy(), made.sounds())
        entry = found["banks"][clips] = {
            "index": indexed.index_kind,
            "largest_difference_of_logits": _largest_difference(models["separate"], bank, released, tokenizer),
            "effect_of_hearing_on_logits": _effect_of_hearing(models["separate"], tokenizer),
        }
        # The larger batch takes minutes; how it grows with the bank is seen with one sentence.
        for batch in (1, 32) if clips == settings.banks[-1] else (1,):
            texts = sentences(batch, WORDS, 1)
            actions = {PLAIN: partial(fill, plain, tokenizer, texts)}
            for (kind, model), (search, chosen) in product(models.items(), banks.items()):
                actions[f"{kind} detector, {search}"] = _hearing(model, chosen, tokenizer, texts)
            if batch == 1:
                actions["released procedure"] = partial(released.answer, texts[0])
            entry[f"batch_{batch}"] = interleaved(actions, settings.rounds, PLAIN)
    return found


def threads(settings: Settings) -> dict:
    """Measure both kinds of text with one thread and with two."""
    made = RandomModels(settings.size, settings.cache)
    tokenizer = AutoTokenizer.from_pretrained(made.part("language_model"))
    model, before = made.model("trunk", settings.banks[0]), torch.get_num_threads()
    actions = {}
    for count in (1, 2):
        for name, spans in (("ordinary", 0), ("auditory", 1)):
            texts = sentences(8, WORDS, spans)

            def act(count=count, texts=texts):
                torch.set_num_threads(count)
                fill(model, tokenizer, texts)

            actions[f"{name}, {count}"] = act
    times = interleaved(actions, settings.rounds, "ordinary, 1")
    torch.set_num_threads(before)
    return {
        "rows": 8,
        "times": times,
        "one_to_two": {
            name: round(times[f"{name}, 1"]["median_ms"] / times[f"{name}, 2"]["median_ms"], 2)
            for name in ("ordinary", "auditory")
        },
    }


def _hearing(model, bank: AudioBank, tokenizer, texts: list[str]) -> Callable:
    def act():
        model.bank = bank
        return fill(model, tokenizer, texts)

    return act


@torch.no_grad()
def _equal_without_hearing(models: dict[str, torch.nn.Module], tokenizer, texts: list[str]) -> bool:
    """Return whether all give the plain language model's logits; that something is heard is an error here."""
    inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    outputs = {name: model(**inputs) for name, model in models.items()}
    heard = [name for name, output in outputs.items() if name != PLAIN and output.span_positions.numel()]
    if heard:
        raise RuntimeError(f"the {heard[0]} finds something to hear in ordinary sentences")
    return all(torch.equal(outputs[PLAIN].logits, output.logits) for output in outputs.values())


@torch.no_grad()
def _largest_difference(model, bank: AudioBank, released: ReleasedProcedure, tokenizer) -> float:
    """Return by how much logits differ at most; spans and clips must be the same."""
    texts = sentences(2, WORDS, 1)
    model.bank = bank
    differences = []
    for text in texts:
        output = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False))
        spans = released.spans(text)
        nearest = [int(released.nearest(released.span_text(text, span))[0]) for span in spans]
        if spans != [tuple(span) for span in output.span_positions[0].tolist()]:
            raise RuntimeError(f"the procedures find other spans in '{text}'")
        if not spans or nearest != output.clip_ids[0, :, 0].tolist():
            raise RuntimeError(f"the procedures find other clips for '{text}'")
        differences.append((released.answer(text) - output.logits[0]).abs().max().item())
    return max(differences)


@torch.no_grad()
def _effect_of_hearing(model, tokenizer) -> float:
    inputs = tokenizer(sentences(2, WORDS, 1), padding=True, return_tensors="pt", return_token_type_ids=False)
    return (model(**inputs).logits - model(**inputs, hearing=False).logits).abs().max().item()
