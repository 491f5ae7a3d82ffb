"""Make a benchmark from captioned clips: categories and sentences by a language model, pitches by measurement.

    python examples/construct_a_benchmark.py clips/manifest.csv http://localhost:8000/v1 my_benchmark [MODEL]

The address is any endpoint that speaks the OpenAI chat format. Stopped, the same call goes on and asks nothing twice.
"""

import sys
from pathlib import Path

from audiobert.dataset_scripts.auditorybench.statistics import benchmark_sizes, sizes_table
from audiobert.dataset_scripts.construction.benchmark import build_benchmark
from audiobert.dataset_scripts.construction.categorize import CategorizeStep
from audiobert.dataset_scripts.construction.clip_pitches import measure_clips
from audiobert.dataset_scripts.construction.generate import GenerateStep
from audiobert.dataset_scripts.construction.jsonl import read_jsonl, write_jsonl
from audiobert.dataset_scripts.construction.llm_settings import LlmSettings
from audiobert.dataset_scripts.construction.step_run import run_step
from audiobert.trainers.audio_loading import load_audio
from audiobert.trainers.clip_sources import read_clips


def main(manifest: str, base_url: str, out: str, model: str = "Qwen/Qwen2-72B-Instruct-AWQ") -> None:
    work, llm = Path(out) / "steps", LlmSettings(model=model, base_url=base_url)
    clips, candidates, pitches = (work / f"{name}.jsonl" for name in ("clips", "candidates", "pitches"))
    source = read_clips(manifest)
    measured = measure_clips([{"id": clip.id, "path": clip.path} for clip in source.clips], source.folder, load_audio)
    write_jsonl(pitches, measured)
    run_step(CategorizeStep(manifest, llm), clips)
    report = run_step(GenerateStep(str(clips), llm, items_per_input=3, pitches=str(pitches)), candidates)
    print(f"{report['rows']} candidates, {report['rejects']} rejected")
    built = build_benchmark(out, read_jsonl(candidates), read_jsonl(pitches))
    print(sizes_table(benchmark_sizes(built.tasks), beside_paper=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
