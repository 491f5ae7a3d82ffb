"""Time the search of audio banks, side by side with the way of the paper's released code.

    python benchmarks/retrieval.py --out retrieval

Writes retrieval.json and retrieval.md: milliseconds of one query and of 32, for the nearest 10 clips, which recall is
stated of, and for 50, medians of interleaved rounds after a warm-up, with spread and ratio; recall, size and building
time of the indexes; loading a bank from the disk; and how all of it grows with the bank. Keys are drawn around the
directions of clusters, one for about 100 keys, so that key and direction have a cosine of about 0.7; queries are other
draws around the same directions. The seed is fixed.

The reference is scikit-learn's cosine_similarity over a NumPy array of all keys, then a full argsort.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median

import faiss
import numpy as np
import pyarrow as pa
import torch
from sklearn.metrics.pairwise import cosine_similarity
from tqdm import tqdm

from audiobert import AudioBank
from audiobert.modeling_audiobert.bank_index import choose_kind


KEYS_A_CLUSTER = 100
BATCHES = (1, 32)
TOP_K = (10, 50)
RECALL_QUERIES = 256
VALUE_DIM = 768
PACKAGES = ("torch", "faiss-cpu", "pymilvus", "milvus-lite", "scikit-learn", "numpy")
LOAD = """
import json, sys, time
import faiss, torch
from audiobert import AudioBank

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return {name: int(line.split()[1]) for line in lines for name in ("VmRSS", "RssAnon") if line.startswith(name)}

queries = torch.tensor(json.load(sys.stdin))
before, started = resident(), time.perf_counter()
bank = AudioBank.load(sys.argv[1])
loaded, loaded_after = resident(), time.perf_counter() - started
found = bank.search(queries[:1], 1)
value = bank.values[found.clip_ids[0]]
answered_after = time.perf_counter() - started
print(json.dumps({
    "index": bank.index_kind,
    "load_seconds": round(loaded_after, 3),
    "first_answer_seconds": round(answered_after, 3),
    "loaded_mib": round((loaded["VmRSS"] - before["VmRSS"]) / 1024, 1),
    "answered_mib": round((resident()["VmRSS"] - before["VmRSS"]) / 1024, 1),
    "answered_anonymous_mib": round((resident()["RssAnon"] - before["RssAnon"]) / 1024, 1),
    "arrays_mib": round((bank.keys.nbytes + bank.values.nbytes) / 2**20, 1),
}))
"""


def main() -> None:
    """Measure every size, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 500_000], help="clips of the banks")
    parser.add_argument("--dim", type=int, default=512, help="width of the keys")
    parser.add_argument("--recall", type=float, default=0.95, help="recall@10 that the indexes are tuned to")
    parser.add_argument("--rounds", type=int, default=7, help="measured runs of each")
    parser.add_argument("--hnsw-up-to", type=int, default=100_000, help="clips of the largest bank indexed by HNSW")
    parser.add_argument("--milvus-up-to", type=int, default=100_000, help="of the largest indexed by embedded Milvus")
    parser.add_argument("--out", type=Path, default=Path("retrieval"), help="where .json and .md are written")
    arguments = parser.parse_args()
    started = time.perf_counter()
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start",
        "command": " ".join(["python", "benchmarks/retrieval.py", *sys.argv[1:]]),
        "threads": {"torch": torch.get_num_threads(), "faiss": faiss.omp_get_max_threads()},
        "versions": {name: version(name) for name in PACKAGES},
        "dim": arguments.dim,
        "top_k": TOP_K,
        "rounds": arguments.rounds,
        "banks": [],
    }
    for size in sorted(arguments.sizes):
        report["banks"].append(measure(size, arguments))
        report["banks"][-1]["load_of_the_machine"] = round(os.getloadavg()[0], 1)
        report["total_seconds"] = round(time.perf_counter() - started, 1)
        # After each bank: what was measured is kept if the rest takes too long.
        arguments.out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".md").write_text(as_markdown(report), encoding="utf-8")


def measure(size: int, arguments: argparse.Namespace) -> dict:
    """Return the measurements of one bank."""
    directions = unit(torch.randn(max(1, size // KEYS_A_CLUSTER), arguments.dim, generator=seeded(0)))
    keys, queries = draw(directions, size, 1), draw(directions, max(BATCHES) + RECALL_QUERIES, 2)
    exact = AudioBank(described(size), keys, torch.empty(size, 0), "clap", "encoder")
    searches = {"reference": reference(keys.numpy()), "exact": exact.search}
    rows = {"reference": {}, "exact": {"recall_at_10": 1.0, "index_mib": 0.0, "build_seconds": 0.0}}
    kinds = ["ivfpq"]
    kinds += ["hnsw"] if size <= arguments.hnsw_up_to else []
    kinds += ["milvus"] if size <= arguments.milvus_up_to else []
    indexed = {}
    for kind in kinds:
        bank = indexed[kind] = exact.with_values(exact.values, "encoder")
        began = time.perf_counter()
        facts = bank.build_index(kind, arguments.recall)
        rows[kind] = {
            "build_seconds": round(time.perf_counter() - began, 1),
            "index_mib": round(bank.index.finder.num_bytes / 2**20, 1),
            "recall_at_10": recall(exact, bank, queries[max(BATCHES) :]),
            "recall_when_tuned": facts.measured_recall,
            "setting": {"pool": facts.pool, "effort": facts.effort, **facts.parameters},
        }
        searches[kind] = bank.search
    for top_k, batch in product(TOP_K, BATCHES):
        for name, spent in timed(searches, queries[:batch], top_k, arguments.rounds).items():
            rows[name][f"queries_{batch}_top_{top_k}"] = spent
    return {
        "clips": size,
        "keys_mib": round(keys.nbytes / 2**20, 1),
        "chosen": choose_kind(size),
        "searches": rows,
        "loading": loading([exact, indexed["ivfpq"]], queries),
    }


def draw(directions: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Return unit vectors around the directions."""
    generator = seeded(seed)
    drawn = torch.empty(count, directions.shape[1])
    for part in drawn.split(50_000):
        chosen = directions[torch.randint(len(directions), (len(part),), generator=generator)]
        noise = torch.randn(part.shape, generator=generator) / directions.shape[1] ** 0.5
        part.copy_(unit(chosen + noise))
    return drawn


def seeded(seed: int) -> torch.Generator:
    """Return a generator for one of the draws."""
    return torch.Generator().manual_seed(seed)


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors of norm 1."""
    return torch.nn.functional.normalize(vectors, dim=1)


def described(size: int) -> pa.Table:
    """Return the clips of a bank."""
    names = [f"clip-{number}" for number in range(size)]
    return pa.table(
        {
            "id": names,
            "caption": [f"a sound, recorded as number {number}" for number in range(size)],
            "label": ["sound"] * size,
            "path": [f"{name}.wav" for name in names],
            "audio": pa.nulls(size, pa.binary()),
            "licence": ["CC0"] * size,
            "duration_seconds": [1.0] * size,
        }
    )


def reference(keys: np.ndarray) -> Callable[[torch.Tensor, int], np.ndarray]:
    """Return the search of the released code, but for the batch: it asks one query at a time."""
    return lambda queries, top_k: cosine_similarity(queries.numpy(), keys).argsort(axis=1)[:, : -top_k - 1 : -1]


def recall(exact: AudioBank, indexed: AudioBank, queries: torch.Tensor) -> float:
    """Return which share of the nearest 10 clips the index finds, of queries that it was not tuned by."""
    nearest, found = (bank.search(queries, 10).clip_ids for bank in (exact, indexed))
    return round((nearest.unsqueeze(2) == found.unsqueeze(1)).any(dim=2).double().mean().item(), 4)


def timed(
    searches: dict[str, Callable], queries: torch.Tensor, top_k: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Return milliseconds of each search; a round runs all of them, so that a busy machine slows all alike."""
    milliseconds = {name: [] for name in searches}
    for number in tqdm(range(rounds + 1), desc=f"{len(queries)} queries, {top_k} clips", disable=None):
        for name, run in searches.items():
            began = time.perf_counter()
            run(queries, top_k)
            if number:  # the first warms up
                milliseconds[name].append(1000 * (time.perf_counter() - began))
    base = median(milliseconds["reference"])
    return {
        name: {
            "median_ms": round(median(values), 3),
            "least_ms": round(min(values), 3),
            "most_ms": round(max(values), 3),
            "ratio": round(base / median(values), 1),
            "ratio_of_least": round(min(milliseconds["reference"]) / min(values), 1),
        }
        for name, values in milliseconds.items()
    }


def loading(banks: list[AudioBank], queries: torch.Tensor) -> list[dict]:
    """Return time and memory of loading banks, with values added, in a new process each."""
    values, found = torch.zeros(1, VALUE_DIM).expand(len(banks[0]), -1), []
    for bank in banks:
        with tempfile.TemporaryDirectory() as folder:
            bank.with_values(values, "encoder").save(folder)
            done = subprocess.run(
                [sys.executable, "-c", LOAD, folder],
                input=json.dumps(queries[:1].tolist()),
                capture_output=True,
                text=True,
                check=True,
            )
            found.append(json.loads(done.stdout))
    return found


def as_markdown(report: dict) -> str:
    """Return the tables."""
    versions = ", ".join(" ".join(pair) for pair in report["versions"].items())
    lines = [
        f"Command: `{report['command']}`; {report['machine']}; threads: torch "
        f"{report['threads']['torch']}, FAISS {report['threads']['faiss']}; {versions}.",
        "",
        f"Keys of width {report['dim']}; median of {report['rounds']} rounds (least to most), and how many times as "
        f"fast as the reference: by the medians (by the least times).",
        "",
        "| clips | search | top | 1 query, ms | times | 32 queries, ms | times | recall@10 | index, MiB | built, s |",
        "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for bank, top_k in product(report["banks"], report["top_k"]):
        for name, row in bank["searches"].items():
            cells = [f"{bank['clips']:,}", name + (" (chosen)" if name == bank["chosen"] else ""), str(top_k)]
            for batch in BATCHES:
                spent = row[f"queries_{batch}_top_{top_k}"]
                cells += [f"{spent['median_ms']:.1f} ({spent['least_ms']:.1f} to {spent['most_ms']:.1f})"]
                cells += [f"{spent['ratio']:.1f} ({spent['ratio_of_least']:.1f})"]
            cells += [str(row.get(fact, "")) for fact in ("recall_at_10", "index_mib", "build_seconds")]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Loading a bank with values of width 768 in a new process, up to the first answer with its value:",
        "",
        "| clips | search | loaded in, s | answered in, s | memory, MiB: loaded | answered | not of files | arrays |",
        "|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    facts = ("load_seconds", "first_answer_seconds", "loaded_mib", "answered_mib", "answered_anonymous_mib")
    for bank in report["banks"]:
        for row in bank["loading"]:
            cells = [f"{bank['clips']:,}", row["index"], *(str(row[fact]) for fact in (*facts, "arrays_mib"))]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
