"""What else could make it faster, and where the time goes: torch.compile, int8, threads, profiles."""

import copy
import warnings

import torch
from random_models import RandomModels, sentences
from text_speed import PLAIN, WORDS, fill, plain_model
from timing import Settings, interleaved
from torch.profiler import ProfilerActivity, profile
from training_speed import TRAINED_BANK, encoded_rows

from audiobert.trainers.collation import AudioBertCollator


__all__ = ["profiles", "variants"]

_SHOWN = 8


def variants(settings: Settings) -> dict:
    """Measure torch.compile and int8 dynamic quantisation of the frozen parts, and by how much answers change."""
    made = RandomModels(settings.size, settings.cache)
    language_model, tokenizer = plain_model(made), made.model("trunk", settings.banks[0]).retriever.tokenizer
    texts = sentences(8, WORDS, 0)
    models = {PLAIN: language_model, "int8": _quantised(language_model)}
    compiled = torch.compile(copy.deepcopy(language_model))
    found = {"rows": len(texts)}
    try:
        fill(compiled, tokenizer, texts)
        models["torch.compile"] = compiled
    except RuntimeError as error:  # no compiler on this machine
        found["torch.compile"] = str(error).splitlines()[0]
    actions = {name: lambda model=model: fill(model, tokenizer, texts) for name, model in models.items()}
    answers = {name: act() for name, act in actions.items()}
    found["language_model"] = interleaved(actions, settings.rounds, PLAIN)
    found["same_five_best_tokens"] = {name: answers[name] == answers[PLAIN] for name in models}
    found["queries"] = _query_variants(made.model("trunk", settings.banks[0]), settings)
    return found


def profiles(settings: Settings) -> dict:
    """Return which operations take the time: ordinary text, auditory text, and a training step."""
    made = RandomModels(settings.size, settings.cache)
    model = made.model("trunk", settings.banks[-1])
    tokenizer = model.retriever.tokenizer
    texts = {"ordinary text, 8 rows": sentences(8, WORDS, 0), "auditory text, 8 rows": sentences(8, WORDS, 1)}
    found = {name: _profiled(lambda rows=rows: fill(model, tokenizer, rows)) for name, rows in texts.items()}
    small = RandomModels("small" if settings.size == "full" else settings.size, settings.cache)
    trained = small.model("separate", TRAINED_BANK).train()
    rows = encoded_rows(small, 32, 2)
    features = torch.randn(TRAINED_BANK, *_feature_shape(trained))
    collator = AudioBertCollator(trained.retriever.tokenizer, features)
    found[f"training step, audio encoder trained, {small.size} models, 32 rows"] = _profiled(
        lambda: trained(**collator(rows)).loss.backward()
    )
    return found


def _feature_shape(model) -> tuple[int, int]:
    return model.config.audio_config.max_length, model.config.audio_config.num_mel_bins


def _query_variants(model, settings: Settings) -> dict:
    texts = [f"sound{number}" for number in range(8)]
    whole, tower = model.clap_text, _quantised(model.clap_text)
    before = model.embed_queries(texts)

    def embed(chosen):
        model.clap_text = chosen
        return model.embed_queries(texts)

    times = interleaved({"float32": lambda: embed(whole), "int8": lambda: embed(tower)}, settings.rounds, "float32")
    cosines = torch.nn.functional.cosine_similarity(before, embed(tower))
    return {"times": times, "least_cosine_of_int8": round(cosines.min().item(), 4)}


def _quantised(model: torch.nn.Module) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8)


def _profiled(act) -> list[dict]:
    """Return the operations with most time of their own, and their share."""
    act()
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        act()
    events = sorted(watched.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [
        {
            "operation": event.key,
            "calls": event.count,
            "ms": round(event.self_cpu_time_total / 1000, 1),
            "share": round(event.self_cpu_time_total / total, 3),
        }
        for event in events[:_SHOWN]
    ]
