"""Measure all that docs/speed.md tells, in one run on one machine, and write JSON, tables and plots.

    make bench
    python benchmarks/suite.py --size small      # a few minutes
    python benchmarks/suite.py --again imports memory

Each part runs in a process of its own and leaves OUT/PART.json. Parts that are there are kept, so an interrupted run
goes on where it stopped; `--again` names parts to measure anew, `--only` those to measure at all. Models, banks and
sounds are made once and kept in the cache, 8 GB at full size.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from report import write_report


HERE = Path(__file__).parent
# In this order: what is soon measured comes first. The last number is the size that is measured; None: as asked for.
PARTS = {
    "imports": ("loading_speed", "imports", None),
    "loading": ("loading_speed", "loading", None),
    "memory": ("loading_speed", "memory", None),
    "ordinary_text": ("text_speed", "ordinary_text", None),
    "auditory_text": ("text_speed", "auditory_text", None),
    "frozen_pass": ("training_speed", "frozen_pass", None),
    "encoder_training": ("training_speed", "encoder_training", None),
    "encoder_training_small": ("training_speed", "encoder_training", "small"),
    "threads": ("text_speed", "threads", None),
    "profiles": ("options_speed", "profiles", None),
    "variants": ("options_speed", "variants", None),
}
# Scripts with settings of their own, which write the JSON themselves.
SCRIPTS = {
    "bank_building_small": ["bank_building.py", "{manifest}", "--encoders", "small", "--clips", "150", "--again"],
    "bank_building_full": ["bank_building.py", "{manifest}", "--encoders", "full", "--clips", "16"],
    "retrieval": ["retrieval.py", "--milvus-up-to", "0"],
}


def main() -> None:
    """Measure the parts that are not there yet, and write the report of all."""
    arguments = _arguments()
    if arguments.part:
        return _measure(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate([*PARTS, *SCRIPTS], 1):
        file = arguments.out / f"{name}.json"
        if arguments.only and name not in arguments.only:
            continue
        if file.exists() and name not in arguments.again:
            print(f"{number}/{len(PARTS) + len(SCRIPTS)} {name}: kept")  # noqa: T201 - progress
            continue
        started = time.monotonic()
        done = subprocess.run(_command(name, file, arguments), env=_environment(arguments.threads))
        if done.returncode:
            sys.exit(f"{name} failed; what was measured before is in {arguments.out}.")
        print(f"{number}/{len(PARTS) + len(SCRIPTS)} {name}: {time.monotonic() - started:.0f} s")  # noqa: T201
    print(write_report(arguments.out, arguments.figures, arguments.page).read_text(encoding="utf-8"))  # noqa: T201 - the result
    return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["full", "small", "tiny"], default="full", help="of the models")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every library")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each figure")
    parser.add_argument("--banks", type=int, nargs="+", default=[10_000, 100_000, 500_000], help="numbers of clips")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where the JSON files and tables go")
    parser.add_argument("--figures", type=Path, default=HERE.parent / "docs/figures", help="where the plots go")
    parser.add_argument("--page", type=Path, help="a page whose table of aims is replaced")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/audiobert-benchmarks")
    parser.add_argument("--manifest", type=Path, help="clips to build banks from; made up by default")
    parser.add_argument(
        "--trained", type=Path, help="an AudioBERT whose retrieval tells how often batches repeat clips"
    )
    parser.add_argument("--data-dir", type=Path, help="AuditoryBench's folder, for the same")
    parser.add_argument("--again", nargs="*", default=[], metavar="PART", help="measure these though they are there")
    parser.add_argument("--only", nargs="*", default=[], metavar="PART", help="measure no others")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _environment(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _command(name: str, file: Path, arguments: argparse.Namespace) -> list[str]:
    if name in PARTS:
        return [sys.executable, str(HERE / "suite.py"), "--part", name, *sys.argv[1:]]
    script, *rest = SCRIPTS[name]
    if "{manifest}" in rest:
        rest[rest.index("{manifest}")] = str(arguments.manifest or _own_manifest(arguments.cache))
        rest += ["--threads", str(arguments.threads)]
    if name == "retrieval":
        rest += ["--sizes", *map(str, arguments.banks)]
        file = file.with_suffix("")
    return [sys.executable, str(HERE / script), *rest, "--out", str(file)]


def _own_manifest(cache: Path) -> Path:
    from random_models import RandomModels

    files = RandomModels("tiny", cache).sounds()
    manifest = files[0].parent / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "path", "caption", "label", "licence"])
        table.writerows([file.stem, file.name, "a tone", "tone", "CC0"] for file in files)
    return manifest


def _measure(arguments: argparse.Namespace) -> None:
    """Measure one part in this process."""
    import importlib

    from timing import Settings, circumstances

    module, function, size = PARTS[arguments.part]
    settings = Settings(
        size or arguments.size,
        arguments.cache,
        arguments.rounds,
        tuple(arguments.banks),
        arguments.trained,
        arguments.data_dir,
    )
    where = circumstances()
    started = time.monotonic()
    found = getattr(importlib.import_module(module), function)(settings)
    document = {
        "part": arguments.part,
        "size": settings.size,
        **where,
        "seconds": round(time.monotonic() - started),
        "measured": found,
    }
    file = arguments.out / f"{arguments.part}.json"
    temporary = file.with_suffix(".partial")
    temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    temporary.replace(file)


if __name__ == "__main__":
    main()
