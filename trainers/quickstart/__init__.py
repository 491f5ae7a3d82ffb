"""The quickstart: from nothing to a hearing language model, measured, on sounds and sentences made on the spot."""

from .quickstart import QuickstartRecipe, run_quickstart


__all__ = ["QuickstartRecipe", "run_quickstart"]
