"""`audiobert evaluate`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def evaluate(  # noqa: PLR0913 - one argument an option
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An AudioBERT, or any masked or causal language model.")
    ],
    task: Annotated[
        str, typer.Option(help="animal_sound_recognition, sound_pitch_comparison, or combined (reports all three).")
    ] = "combined",
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="train, validation, test (the default), wiki, or all for the last three; may be repeated.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="AuditoryBench's CSV files, or a folder of 'construct split'; downloaded by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the results as JSON in this file.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; the single predictions only go to --out.")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Rows at a time; changes the speed only.")] = 32,
    seed: Annotated[int, typer.Option(help="Of the clips and resamples drawn.")] = 0,
    hearing: Annotated[
        list[str] | None,
        typer.Option(
            help="What an AudioBERT hears: on and off (the default), random, oracle, gold, gold-random, gold-oracle; "
            "may be repeated.",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="given: the answer's number of word pieces is given away, as in the paper (the default). free: it is "
            "not. candidates: the answer is chosen among the train split's (all that a causal model can do).",
            show_default=False,
        ),
    ] = None,
    by_seen: Annotated[
        bool, typer.Option("--by-seen", help="Also tell rows whose sounds the train split names from the others.")
    ] = False,
    ablations: Annotated[
        bool, typer.Option("--ablations", help="Every setting of hearing, and paired tests of 'on' against each.")
    ] = False,
    text_only: Annotated[
        str | None, typer.Option(metavar="MODEL", help="For --ablations: the same training without any sound.")
    ] = None,
    language_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="For --ablations: the model that training started from.")
    ] = None,
) -> None:
    """Measure a model's accuracy on AuditoryBench; an AudioBERT's with hearing on and off.

    Any masked or causal language model can be measured. The results file holds the prediction for every row.

    Example: audiobert evaluate google-bert/bert-base-uncased --data-dir auditorybench --split test --out bert.json
    """
    from audiobert.trainers.ablations import LANGUAGE_MODEL, TEXT_ONLY, evaluate_ablations
    from audiobert.trainers.evaluation import EvaluationOptions, evaluate_model, save_results
    from audiobert.trainers.evaluation_results import check_results_path

    from .evaluation_text import comparison_lines, result_lines

    if out is not None:
        check_results_path(out)
    others = {name: other for name, other in ((TEXT_ONLY, text_only), (LANGUAGE_MODEL, language_model)) if other}
    if others and not ablations:
        raise typer.BadParameter("--text-only and --language-model are compared with by --ablations: add it.")
    options = EvaluationOptions(batch_size, hearing or None, seed, by_seen, protocol)
    asked = (data_dir, task, split or "test", options)
    results = evaluate_ablations(model, others, *asked) if ablations else evaluate_model(model, *asked)
    if out is not None:
        save_results(results, out)
    if as_json:
        shown = {name: value for name, value in results.items() if name != "predictions"}
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    print("\n".join(result_lines(results)))
    if ablations:
        print("Compared on the same rows:")
        print("\n".join(comparison_lines(results["comparisons"])))
    if results["left_out"]:
        print(f"{len(results['left_out'])} rows without exactly one gap were left out.", file=sys.stderr)
