"""`audiobert construct generate`."""

from pathlib import Path
from typing import Annotated

import typer

from . import construct_options as options


def construct_generate(  # noqa: PLR0913 - one argument an option
    clips: Annotated[Path, typer.Argument(metavar="CLIPS", help="The file that 'construct categorize' wrote.")],
    out: options.Out,
    overrides: options.Overrides = None,
    base_url: options.BaseUrl = None,
    model: options.Model = None,
    local_model: options.LocalModel = None,
    llm: options.Llm = "paper_llm",
    task: Annotated[
        list[str] | None,
        typer.Option(help="animal_sound_recognition or sound_pitch_comparison; given twice or not at all, both."),
    ] = None,
    items: Annotated[int, typer.Option(metavar="N", help="Sentences on each animal clip, and on each pair.")] = 1,
    pairs: Annotated[int, typer.Option(metavar="N", help="Pairs to compare in pitch, for each clip.")] = 1,
    pitches: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What 'construct pitch' wrote: only clips that have a pitch are paired."),
    ] = None,
    animal_prompt: Annotated[str, typer.Option(metavar="FILE", help="A prompt file of your own (.md).")] = "animal",
    pitch_prompt: Annotated[str, typer.Option(metavar="FILE", help="A prompt file of your own (.md).")] = "pitch",
    shard_size: options.ShardSize = 500,
    executor: options.Executor = None,
    retry_failed: options.Retry = False,
    as_json: options.AsJson = False,
) -> None:
    """Let a language model write sentences with one mask: on animals' sounds, and on which of two sounds is higher.

    Interrupted, the same command goes on, and asks nothing twice. Give 'construct split' the file that is written.

    Example: audiobert construct generate clips.jsonl --base-url http://localhost:8000/v1 --out candidates.jsonl
    """
    from audiobert.dataset_scripts.construction.generate import ANIMAL, PITCH, GenerateStep

    options.run_llm_step(
        lambda settings: GenerateStep(
            clips=str(clips),
            llm=settings,
            tasks=tuple(dict.fromkeys(task or (ANIMAL, PITCH))),
            items_per_input=items,
            pairs_per_clip=pairs,
            pitches=pitches and str(pitches),
            animal_prompt=animal_prompt,
            pitch_prompt=pitch_prompt,
        ),
        options.LlmChoice(llm, base_url, model, local_model, overrides),
        out,
        (shard_size, executor, retry_failed),
        as_json,
    )
