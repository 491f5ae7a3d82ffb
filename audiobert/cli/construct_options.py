"""What the steps of `audiobert construct` that ask a language model take, and do with it."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


__all__ = [
    "AsJson",
    "BaseUrl",
    "Executor",
    "Llm",
    "LlmChoice",
    "LocalModel",
    "Model",
    "Out",
    "Overrides",
    "Retry",
    "ShardSize",
    "run_llm_step",
]

Out = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="The .jsonl file to write; what becomes no row goes to NAME.rejects.jsonl beside it."
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="An endpoint that speaks the OpenAI chat format (vLLM, TGI, llama.cpp, ...), such as "
        "http://localhost:8000/v1; its key, if it wants one, in AUDIOBERT_API_KEY. Without it, the Hub's inference "
        "providers are asked.",
    ),
]
Model = Annotated[str | None, typer.Option(metavar="ID", help="The model's name there; by default the recipe's.")]
LocalModel = Annotated[
    str | None, typer.Option(metavar="ID", help="Run this causal language model here instead: a folder or Hub id.")
]
Llm = Annotated[str, typer.Option(metavar="RECIPE", help="A YAML file of 'kind: llm'; by default the paper's.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings that replace the recipe's: seed, temperature, concurrency, requests_per_minute, ...",
    ),
]
Executor = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Distribute the shards with datatrove: a YAML file with 'kind: local', 'slurm' or 'ray', and that "
        "executor's settings.",
    ),
]
ShardSize = Annotated[int, typer.Option(metavar="N", help="Inputs in a shard, the unit of resuming.")]
Retry = Annotated[
    bool, typer.Option("--retry-failed", help="Try again what the endpoint did not answer in an earlier run.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@dataclass(frozen=True)
class LlmChoice:
    """The values of `Llm`, `BaseUrl`, `Model`, `LocalModel` and `Overrides`."""

    recipe: str
    base_url: str | None
    model: str | None
    local_model: str | None
    overrides: list[str] | None

    def settings(self) -> Any:
        """Return the `LlmSettings` chosen: the recipe, then the options, then the overrides."""
        from audiobert.dataset_scripts.construction.llm_settings import LlmSettings
        from audiobert.trainers.recipe import load_recipe

        given = {"base_url": self.base_url, "model": self.model, "local_model": self.local_model}
        options = [f"{name}={value}" for name, value in given.items() if value is not None]
        return load_recipe(LlmSettings, self.recipe, [*options, *(self.overrides or [])])


def run_llm_step(
    make_step: Callable[[Any], Any],
    llm: LlmChoice,
    out: Path,
    run: tuple[int, Path | None, bool],
    as_json: bool,
) -> None:
    """Run a step and print what came of it.

    Args:
        make_step: makes the step of the language model's settings.
        run: the values of `ShardSize`, `Executor` and `Retry`.
    """
    from audiobert.dataset_scripts.construction.step_run import run_step

    shard_size, executor, retry_failed = run
    report = run_step(make_step(llm.settings()), out, shard_size, _executor_settings(executor), retry_failed)
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return
    if not report["complete"]:
        print(f"{out}: the executor has {report['pending']} shards to do. Afterwards, give the same command again.")
        return
    usage = report["usage"]
    print(
        f"{out}: {report['rows']:,} rows, {report['rejects']:,} rejects; {usage['calls']:,} calls "
        f"({usage['cached_calls']:,} more from the cache), {usage['prompt_tokens']:,} tokens read, "
        f"{usage['completion_tokens']:,} written" + ("" if report["cost"] is None else f", cost {report['cost']:,.2f}")
    )
    for reason, count in report["reasons"].items():
        print(f"  {count:,} rejected: {reason}", file=sys.stderr)


def _executor_settings(path: Path | None) -> dict[str, Any] | None:
    import yaml

    from audiobert.modeling_audiobert.errors import AudioBertInputError

    if path is None:
        return None
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AudioBertInputError(f"cannot read the executor's settings in '{path}': {error}") from error
    if not isinstance(settings, dict):
        raise AudioBertInputError(f"'{path}' must be a mapping, such as 'kind: local'.")
    return settings
