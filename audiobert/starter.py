"""The starter language model, which needs no download; see [`build_starter_model`]."""

from audiobert.trainers.starter import STARTER_NAME, build_starter_model, starter_folder


__all__ = ["STARTER_NAME", "build_starter_model", "starter_folder"]
