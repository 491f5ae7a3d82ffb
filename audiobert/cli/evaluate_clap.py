"""`audiobert evaluate clap`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate_clap(  # noqa: PLR0913 - one argument an option
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A ClapModel, fused or not: a folder or Hub id.")],
    clips: Annotated[
        str, typer.Option(metavar="SOURCE", help="Captioned clips: a manifest (.csv or .jsonl), or a folder with one.")
    ],
    held_out: Annotated[
        bool | None,
        typer.Option(
            "--held-out/--all",
            help="Only clips that the model's own recipe held out from training, or all; by default held-out clips "
            "where the model's folder has such a recipe.",
            show_default=False,
        ),
    ] = None,
    query: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="What is asked for a label; {span} stands for it.")
    ] = "{span} sound",
    out: Annotated[Path | None, typer.Option(help="Save the results as JSON in this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    batch_size: Annotated[int, typer.Option(help="Clips at a time; changes the speed only.", min=1)] = 32,
) -> None:
    """Measure how well a CLAP finds clips by text, and texts by clip.

    Prints R@1, R@5, R@10, mAP@10 and the median rank of both directions (a clip is right for a caption that has its
    label), the share of right clips among the first five for each label, and what a random order gives.

    Example: audiobert evaluate clap runs/clap --clips clips/manifest.csv --out clap.json
    """
    from audiobert.trainers.clap_evaluation import evaluate_clap as measure
    from audiobert.trainers.evaluation_results import check_results_path, save_results

    if out is not None:
        check_results_path(out)
    results = measure(model, clips, held_out=held_out, query_template=query, batch_size=batch_size)
    if out is not None:
        save_results(results, out)
    if as_json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
        return
    for name, metrics in results["parts"].items():
        _show(name, results["clips"][name]["count"], metrics)


def _show(name: str, count: int, metrics: dict[str, float]) -> None:
    columns = {"R@1": "recall@1", "R@5": "recall@5", "R@10": "recall@10", "mAP@10": "map@10"}
    print(f"{name.replace('_', ' ')}: {count} clips")
    print(f"  {'':16}{''.join(f'{title:>8}' for title in columns)}  median rank  chance R@1  queries  candidates")
    for direction in ("text_to_audio", "audio_to_text"):
        values = "".join(f"{100 * metrics[f'{direction}_{metric}']:8.2f}" for metric in columns.values())
        rank, chance = metrics[f"{direction}_median_rank"], 100 * metrics[f"{direction}_chance_recall@1"]
        sizes = f"{metrics[f'{direction}_queries']:9d}{metrics[f'{direction}_candidates']:12d}"
        print(f"  {direction.replace('_', ' '):16}{values}{rank:13.1f}{chance:12.2f}{sizes}")
    if "label_precision@5" in metrics:
        print(
            f"  by label: precision@1 {100 * metrics['label_precision@1']:.2f}, precision@5 "
            f"{100 * metrics['label_precision@5']:.2f} (by clip: {100 * metrics['label_precision@1_by_clip']:.2f}, "
            f"{100 * metrics['label_precision@5_by_clip']:.2f}; chance {100 * metrics['chance_precision@1']:.2f}), "
            f"a clip's label named right {100 * metrics['audio_to_label@1']:.2f}"
        )
