"""Importing, loading and holding an AudioBERT."""

import json
import resource
import subprocess
import sys
from pathlib import Path

from random_models import RandomModels, sentences
from timing import Settings, interleaved, spread


__all__ = ["imports", "loading", "memory"]

IMPORTS = {
    "transformers and datasets": "import transformers, datasets",
    "audiobert": "import audiobert",
    "audiobert and its model": "import audiobert; audiobert.AudioBertForMaskedLM",
    "transformers and a model": "import transformers, datasets; transformers.BertForMaskedLM; import peft",
}
MEMORY = """
import json, sys, time
import torch, transformers
from audiobert import AudioBertForMaskedLM

def resident():
    lines = open("/proc/self/status").read().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")}

def read_of(file):
    kib, counts = 0, False
    for line in open("/proc/self/smaps"):
        if "-" in line.split()[0]:
            counts = line.rstrip().endswith(file)
        elif counts and line.startswith("Rss:"):
            kib += int(line.split()[1])
    return round(kib / 1024, 1)

folder, text = sys.argv[1:]
before, started = resident(), time.perf_counter()
model = AudioBertForMaskedLM.from_pretrained(folder, bank_index="exact")
loaded, loaded_after = resident(), time.perf_counter() - started
read_before = {name: read_of(f"/{name}.safetensors") for name in ("keys", "values")}
inputs = model.retriever.tokenizer(text, return_tensors="pt", return_token_type_ids=False)
with torch.no_grad():
    heard = model(**inputs).clip_ids
answered_after, answered = time.perf_counter() - started, resident()
bank = model.bank
sizes = {
    "weights": sum(weight.nbytes for weight in model.parameters()),
    "arrays": bank.keys.nbytes + bank.values.nbytes,
}
print(json.dumps({
    "clips": len(bank),
    "heard": heard.tolist(),
    "load_seconds": round(loaded_after, 2),
    "first_answer_seconds": round(answered_after, 2),
    "weights_mib": round(sizes["weights"] / 2**20),
    "arrays_mib": round(sizes["arrays"] / 2**20),
    "imported_mib": round(before["VmRSS"]),
    "loaded_mib": round(loaded["VmRSS"] - before["VmRSS"]),
    "answered_mib": round(answered["VmRSS"] - before["VmRSS"]),
    "answered_not_of_files_mib": round(answered["RssAnon"] - before["RssAnon"]),
    "ratio": round((answered["VmRSS"] - before["VmRSS"]) * 2**20 / sum(sizes.values()), 3),
    "read_mib": {
        name: {
            "size": round(getattr(bank, name).nbytes / 2**20, 1),
            "after_loading": read_before[name],
            "after_the_answer": read_of(f"/{name}.safetensors"),
        }
        for name in ("keys", "values")
    },
}))
"""


def imports(settings: Settings) -> dict:
    """Measure imports in new processes: their processor time, which other load does not lengthen."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for number in range(min(settings.rounds, 4) + 1):
        for name, code in IMPORTS.items():
            before = _children_seconds()
            subprocess.run([sys.executable, "-c", code], check=True)
            if number:
                seconds[name].append(_children_seconds() - before)
    return {"processor_time_of_a_new_process": spread(seconds, "transformers and datasets")}


def loading(settings: Settings) -> dict:
    """Measure `from_pretrained` beside loading the same parts by transformers, one by one."""
    from transformers import (
        AutoFeatureExtractor,
        AutoModel,
        AutoModelForMaskedLM,
        AutoModelForTokenClassification,
        AutoTokenizer,
        ClapTextModelWithProjection,
    )

    from audiobert import AudioBank, AudioBertForMaskedLM

    made = RandomModels(settings.size, settings.cache)
    folder = made.saved_model(settings.banks[-1])
    tower = made.folder / "clap_text"
    if not tower.is_dir():
        AudioBertForMaskedLM.from_pretrained(folder).clap_text.save_pretrained(tower)

    def one_by_one():
        language_model = AutoModelForMaskedLM.from_pretrained(made.part("language_model"))
        return [
            language_model,
            AutoModelForTokenClassification.from_pretrained(made.part("separate")),
            ClapTextModelWithProjection.from_pretrained(tower),
            AutoModel.from_pretrained(made.part("audio_encoder")),
            AutoTokenizer.from_pretrained(made.part("language_model")),
            AutoTokenizer.from_pretrained(made.part("clap")),
            AutoFeatureExtractor.from_pretrained(made.part("audio_encoder")),
            AudioBank.load(made.bank(settings.banks[-1]), index="exact"),
        ]

    actions = {
        "the parts": one_by_one,
        "from_pretrained": lambda: AudioBertForMaskedLM.from_pretrained(folder, bank_index="exact"),
    }
    return {"clips": settings.banks[-1], "times": interleaved(actions, settings.rounds, "the parts")}


def memory(settings: Settings) -> dict:
    """Measure what a new process holds after loading a model with the largest bank, and after its first answer.

    Of keys and values: their size, and how much of it was read after loading and after the first answer, by exact
    search, which reads all keys.
    """
    folder: Path = RandomModels(settings.size, settings.cache).saved_model(settings.banks[-1])
    text = sentences(1, 24, 1)[0]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder), text], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
