"""The pipelines, here and in a process where audiobert is not installed."""

import json
import os
import subprocess
import sys

import pytest
import torch
from tiny_bank import random_bank
from tiny_models import save_trunk_detector
from transformers import AutoTokenizer, pipeline

from audiobert import AudioBertForMaskedLM


TEXTS = [
    "meow is the sound a [MASK] makes.",
    "i like [MASK]",
    "the [MASK] makes a loud buzz, when you [MASK] it.",
    "a [MASK]",
]

# Run with a folder: answers of both pipelines and the logits, by the code in the folder alone.
REMOTE = """
import importlib.abc, json, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "audiobert":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
import torch
from transformers import AutoModelForMaskedLM, AutoProcessor, AutoTokenizer, pipeline
folder, texts = sys.argv[1], json.loads(sys.argv[2])
model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
inputs = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
answers = {
    task: {
        size: pipeline(task, model=folder, trust_remote_code=True, device="cpu")(texts, top_k=2, batch_size=size)
        for size in (1, 8)
    }
    for task in ("fill-mask", "audio-fill-mask")
}
again = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
again.save_pretrained(sys.argv[3])
spans = AutoProcessor.from_pretrained(folder, trust_remote_code=True)(texts[:1], spans=[[(0, 4)]])["span_positions"]
found = {"module": type(model).__module__, "spans": spans.tolist(), "logits": logits.double().tolist()}
with open("answers.json", "w") as stream:
    json.dump({**found, "answers": answers}, stream)
"""


@pytest.fixture(scope="module", params=["separate", "trunk"])
def folder(request, parts, tmp_path_factory):
    torch.manual_seed(11)
    detector, settings = parts.span_detector, {}
    if request.param == "trunk":
        # Of a random probe; the threshold is one that "meow" in the first text reaches and no other word there.
        detector = save_trunk_detector(tmp_path_factory.mktemp("detector"), parts.language_model, seed=17)
        settings = {"detector_threshold": 0.46}
    model = AudioBertForMaskedLM.from_parts(
        parts.language_model, detector, parts.clap, parts.audio_encoder, num_clips=2, **settings
    )
    model.bank = random_bank(model)
    model.bank.build_index("hnsw", recall=1.0)
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def remote(folder, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("remote")
    environment = os.environ | {"HF_MODULES_CACHE": str(scratch / "modules"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", REMOTE, str(folder), json.dumps(TEXTS), str(scratch / "saved")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=scratch, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((scratch / "answers.json").read_text()) | {"saved": scratch / "saved"}


def by_hand(folder):
    model = AudioBertForMaskedLM.from_pretrained(folder)
    inputs = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs, output_hearing_off=True), inputs


def test_a_saved_folder_works_where_audiobert_is_not_installed(folder, remote):
    assert remote["module"].startswith("transformers_modules.")
    assert remote["spans"] == [[[1, 2]]]
    output, _ = by_hand(folder)
    assert torch.equal(torch.tensor(remote["logits"], dtype=torch.float64), output.logits.double())


def test_what_remote_code_saves_is_the_same_model(folder, remote):
    saved, expected = by_hand(remote["saved"])[0], by_hand(folder)[0]
    assert torch.equal(saved.logits, expected.logits)
    assert torch.equal(saved.clip_ids, expected.clip_ids)
    assert json.loads((remote["saved"] / "bank" / "bank.json").read_text())["index"] == "hnsw"


def rounded(answer):
    if isinstance(answer, dict):
        return {name: rounded(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [rounded(value) for value in answer]
    return round(answer, 5) if isinstance(answer, float) else answer


@pytest.mark.parametrize("task", ["fill-mask", "audio-fill-mask"])
def test_batch_sizes_agree_here_and_there(folder, remote, task):
    here = pipeline(task, model=str(folder), trust_remote_code=True, device="cpu")(TEXTS, top_k=2, batch_size=8)
    answers = [rounded(answer) for answer in (here, remote["answers"][task]["1"], remote["answers"][task]["8"])]
    assert len(answers[0]) == len(TEXTS)
    assert answers[0] == answers[1] == answers[2]


def test_the_evidence_is_what_the_model_found(folder):
    hear = pipeline("audio-fill-mask", model=str(folder), trust_remote_code=True, device="cpu")
    answers = hear(TEXTS, top_k=3)
    output, inputs = by_hand(folder)
    assert any(answer["spans"] for answer in answers)
    for row, (text, answer) in enumerate(zip(TEXTS, answers, strict=True)):
        heard = [span for span in output.span_positions[row].tolist() if span[0] >= 0]
        assert len(answer["spans"]) == len(heard)
        for number, span in enumerate(answer["spans"]):
            assert text[span["start"] : span["end"]] == span["text"]
            assert [clip["id"] for clip in span["clips"]] == [
                f"clip-{i}" for i in output.clip_ids[row, number].tolist()
            ]
            assert [clip["similarity"] for clip in span["clips"]] == pytest.approx(
                output.similarities[row, number].tolist(), abs=1e-5
            )
    off = output.hearing_off_logits[1, inputs["input_ids"][1].eq(4)].argmax().item()
    assert answers[1]["hearing_off"][0]["token"] == off
