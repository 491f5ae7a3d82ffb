"""The report's plots, drawn without a screen, in colours that colour-blind readers can tell apart."""

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .binned import Bin, frequency_label
from .learning_curves import TrainingRun


__all__ = ["draw_frequencies", "draw_learning_curves", "draw_similarities", "require_matplotlib"]

# Okabe and Ito's palette, its yellow left out: too light on white. Markers tell lines apart without any colour.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = "osD^vPX"
_STYLE = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.dpi": 150,
}


def require_matplotlib() -> None:
    """Check that plots can be drawn.

    Raises:
        AudioBertInputError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise AudioBertInputError('a report draws with matplotlib: pip install "audiobert[report]".') from error


def draw_frequencies(path: Path, lines: dict[str, list[Bin]]) -> None:
    """Draw accuracy by the answer's frequency in train, a line a system, with intervals.

    Args:
        path (`Path`): the PNG file.
        lines: title → groups, as of `by_frequency`, the same ones for all.
    """
    labels = list(dict.fromkeys(frequency_label(group) for bins in lines.values() for group in bins))
    sizes = {frequency_label(group): group.rows for bins in lines.values() for group in bins}
    with _figure(path, (8.5, 5)) as (figure, (axes,)):
        for number, (title, bins) in enumerate(lines.items()):
            # Side by side, so that intervals do not hide each other.
            shift = 0.12 * (number - (len(lines) - 1) / 2)
            places = [labels.index(frequency_label(group)) + shift for group in bins]
            _points(axes, places, bins, title, number)
        axes.set_xticks(range(len(labels)), [f"{label}\n({sizes[label]:,})" for label in labels])
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.set_xlabel("train rows with this answer (below: rows that were asked)")
        _accuracy_axis(axes)
        figure.legend(loc="outside upper left", ncols=1 if len(lines) > 4 else 2)


def draw_similarities(path: Path, panels: dict[str, dict[str, list[Bin]]]) -> None:
    """Draw accuracy by the similarity of the clip that was heard, a panel a task.

    Args:
        path (`Path`): the PNG file.
        panels: title of a panel → title of a line → groups, as of `by_similarity`.
    """
    with _figure(path, (5.2 * len(panels), 4.8), len(panels)) as (figure, all_axes):
        titles = list(dict.fromkeys(title for lines in panels.values() for title in lines))
        for axes, (panel, lines) in zip(all_axes, panels.items(), strict=True):
            ends = [end for bins in lines.values() for group in bins for end in (group.low, group.high)]
            for number, (title, bins) in enumerate(lines.items()):
                # Side by side here too, by a hundredth of the axis.
                shift = 0.01 * (max(ends) - min(ends)) * (number - (len(lines) - 1) / 2)
                places = [group.middle + shift for group in bins]
                _points(axes, places, bins, title, titles.index(title))
            axes.set_title(panel)
            axes.set_xlabel("similarity of the nearest clip (cosine)")
            axes.locator_params(axis="x", nbins=5)
            _accuracy_axis(axes)
        drawn = [pair for axes in all_axes for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
        handles = {label: mark for mark, label in drawn}
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)


def draw_learning_curves(path: Path, runs: Sequence[TrainingRun]) -> None:
    """Draw the training loss by step (solid) and the loss on validation (dashed, where logged), a panel a kind."""
    kinds = list(dict.fromkeys(run.kind for run in runs))
    with _figure(path, (5.2 * len(kinds), 4.8), len(kinds)) as (_, all_axes):
        for axes, kind in zip(all_axes, kinds, strict=True):
            of_kind = [run for run in runs if run.kind == kind]
            names = list(dict.fromkeys(run.name for run in of_kind))
            labelled = set()
            for run in of_kind:
                colour = _COLOURS[names.index(run.name) % len(_COLOURS)]
                for values, style, what in ((run.loss, "-", ""), (run.evaluation_loss, "--", ", validation")):
                    if values:
                        label = None if (run.name, what) in labelled else f"{run.name}{what}"
                        labelled.add((run.name, what))
                        axes.plot(*zip(*values, strict=True), style, color=colour, label=label, linewidth=1.6)
            axes.set_title(kind.replace("_", " "))
            axes.set_xlabel("step")
            axes.set_ylabel("loss")
            axes.set_ylim(bottom=0)
            axes.legend()


def _accuracy_axis(axes) -> None:
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 103)  # a marker at 100 is not cut


def _points(axes, places: Sequence[float], bins: Sequence[Bin], title: str, number: int) -> None:
    accuracies = [100 * group.accuracy for group in bins]
    # Rounding can put an end of 0 or 1 a hair inside.
    below = [max(0.0, 100 * (group.accuracy - group.interval[0])) for group in bins]
    above = [max(0.0, 100 * (group.interval[1] - group.accuracy)) for group in bins]
    axes.errorbar(
        places,
        accuracies,
        yerr=[below, above],
        label=title,
        color=_COLOURS[number % len(_COLOURS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=6,
        capsize=2.5,
        linewidth=1.6,
        elinewidth=1,
    )


@contextmanager
def _figure(path: Path, size: tuple[float, float], panels: int = 1):
    """Yield a figure and its axes, and save it. No window and no global state of pyplot is touched."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
        figure.savefig(path, format="png")
