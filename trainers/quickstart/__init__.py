"""The quickstart: from nothing to a hearing language model, measured, on sounds and sentences made on the spot."""

from .quickstart import RECIPE, QuickstartRecipe, run_quickstart


__all__ = ["RECIPE", "QuickstartRecipe", "run_quickstart"]
