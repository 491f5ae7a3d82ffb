"""`audiobert construct`: one subcommand a step of the pipeline."""

import typer

from .construct_categorize import construct_categorize
from .construct_generate import construct_generate
from .construct_pitch import construct_pitch
from .construct_review import review
from .construct_split import construct_split
from .construct_wiki import construct_wiki


construct = typer.Typer(
    help="Make an AuditoryBench of your own from captioned audio (arXiv 2409.08199, section II-A).",
    no_args_is_help=True,
)
construct.command("categorize")(construct_categorize)
construct.command("generate")(construct_generate)
construct.command("pitch")(construct_pitch)
construct.command("split")(construct_split)
construct.command("wiki")(construct_wiki)
construct.add_typer(review, name="review")
