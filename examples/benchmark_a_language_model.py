"""Measure any masked or causal language model on AuditoryBench.

    python examples/benchmark_a_language_model.py google-bert/bert-base-uncased [FOLDER_OF_AUDITORYBENCH]

Without the folder, the benchmark is downloaded and verified.
"""

import sys

from audiobert.trainers.evaluation import evaluate_model


def main(model: str, data_dir: str | None = None) -> None:
    for split in ("test", "wiki"):
        for result in evaluate_model(model, data_dir, split=split)["results"]:
            hearing = f", hearing {result['hearing']}" if result["hearing"] else ""
            print(f"{split:5} {result['task']:25} {100 * result['accuracy']:6.2f} % of {result['rows']} rows{hearing}")


if __name__ == "__main__":
    main(*sys.argv[1:])
