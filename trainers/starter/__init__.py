"""A small English masked language model without a download: MiniLM from a package, and our masked-LM adapter."""

from .starter_model import STARTER_NAME, build_starter_model, read_starter_encoder, starter_folder


__all__ = ["STARTER_NAME", "build_starter_model", "read_starter_encoder", "starter_folder"]
