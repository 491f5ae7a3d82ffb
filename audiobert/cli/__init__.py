"""The console script `audiobert`. One module a subcommand; each parses, calls one library function, and prints."""

import logging
import sys
import warnings

import typer
from typer.core import TyperGroup

from .bank import bank as bank_commands
from .compare import compare as compare_command
from .construct import construct as construct_commands
from .convert_clap import convert_clap as convert_clap_command
from .data import data as data_commands
from .demo import demo as demo_command
from .doctor import doctor as doctor_command
from .evaluate import evaluate as evaluate_command
from .evaluate_clap import evaluate_clap as evaluate_clap_command
from .evaluate_detector import evaluate_detector as evaluate_detector_command
from .fill_mask import fill_mask as fill_mask_command
from .next_steps import add_next_steps
from .quickstart import quickstart as quickstart_command
from .report import report as report_command
from .train import train as train_commands


class _ReportingGroup(TyperGroup):
    """Prints what the user can put right on one line and exits 2; everything else keeps its traceback."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except ValueError as error:
            # Not imported above: torch comes with it, for which "--help" would have to wait.
            from audiobert.modeling_audiobert.errors import AudioBertInputError

            if not isinstance(error, AudioBertInputError):
                raise
            print(f"audiobert: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("audiobert: interrupted; the same command goes on from what was saved.", file=sys.stderr)
            raise typer.Exit(2) from None

    def resolve_command(self, ctx, args):
        """Find a command of two words, such as "evaluate clap", before the one of its first word."""
        name = " ".join(args[:2])
        if name in self.commands:
            return name, self.commands[name], args[2:]
        return super().resolve_command(ctx, args)


_START, _MEASURE, _MAKE = "Start here", "Measure", "Make your own"

app = typer.Typer(
    name="audiobert",
    cls=_ReportingGroup,
    help="Give masked language models auditory knowledge, and measure it on AuditoryBench.",
    epilog="New here? 'audiobert quickstart' makes a model that hears, here and offline; 'audiobert evaluate MODEL' "
    "measures any language model. Every command's --help shows an example and what comes next.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def configure(verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is decided, with numbers.")):
    """Give masked language models auditory knowledge, and measure it on AuditoryBench."""
    # Said of the published audio encoder's own setting, 128 mel bins of 257, each time that it is loaded.
    published = r"At least one mel filter has all zero values.*\(128\).*\(25[67]\)"
    warnings.filterwarnings("ignore", message=published, category=UserWarning)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr
    )


app.command("quickstart", rich_help_panel=_START)(quickstart_command)
app.command("fill-mask", rich_help_panel=_START)(fill_mask_command)
app.command("demo", rich_help_panel=_START)(demo_command)
app.command("doctor", rich_help_panel=_START)(doctor_command)
app.command("evaluate", rich_help_panel=_MEASURE)(evaluate_command)
app.command("evaluate clap", rich_help_panel=_MEASURE)(evaluate_clap_command)
app.command("evaluate detector", rich_help_panel=_MEASURE)(evaluate_detector_command)
app.command("compare", rich_help_panel=_MEASURE)(compare_command)
app.command("report", rich_help_panel=_MEASURE)(report_command)
app.add_typer(data_commands, name="data", rich_help_panel=_MEASURE)
app.add_typer(bank_commands, name="bank", rich_help_panel=_MAKE)
app.add_typer(train_commands, name="train", rich_help_panel=_MAKE)
app.command("convert-clap", rich_help_panel=_MAKE)(convert_clap_command)
app.add_typer(construct_commands, name="construct", rich_help_panel=_MAKE)
add_next_steps(app)


def main() -> None:
    """Run the command line."""
    app()
