"""The web demo: a page that shows what an AudioBERT hears in a sentence, and lets one change it."""

from .launch import launch_demo
from .space import export_space


__all__ = ["export_space", "launch_demo"]
