"""`audiobert construct categorize`."""

from pathlib import Path
from typing import Annotated

import typer

from . import construct_options as options


def construct_categorize(  # noqa: PLR0913 - one argument an option
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="The captioned clips: a manifest (.csv or .jsonl with id, path, caption) or a folder with one, "
            "WebDataset .tar archives with JSON files (LAION-Audio-630K's format), a Hub dataset, or a folder of "
            "Parquet.",
        ),
    ],
    out: options.Out,
    overrides: options.Overrides = None,
    base_url: options.BaseUrl = None,
    model: options.Model = None,
    local_model: options.LocalModel = None,
    llm: options.Llm = "paper_llm",
    split: Annotated[str, typer.Option(help="Of a Hub dataset.")] = "train",
    audio_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the sounds of a Hub dataset here, for 'pitch'.")
    ] = None,
    prompt: Annotated[str, typer.Option(metavar="FILE", help="A prompt file of your own (.md).")] = "categorize",
    shard_size: options.ShardSize = 500,
    executor: options.Executor = None,
    retry_failed: options.Retry = False,
    as_json: options.AsJson = False,
) -> None:
    """Give each clip a category such as animal/dog/pomeranian, by a language model.

    Interrupted, the same command goes on, and asks nothing twice. Beside the file that is written stand what became no
    row, with its reason, a report, and a folder with all answers.

    Example: audiobert construct categorize clips/manifest.csv --base-url http://localhost:8000/v1 --out clips.jsonl
    """
    from audiobert.dataset_scripts.construction.categorize import CategorizeStep

    options.run_llm_step(
        lambda settings: CategorizeStep(source, settings, prompt, split, audio_dir and str(audio_dir)),
        options.LlmChoice(llm, base_url, model, local_model, overrides),
        out,
        (shard_size, executor, retry_failed),
        as_json,
    )
