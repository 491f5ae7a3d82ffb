"""AudioBERT: masked language models that know what things sound like (arXiv 2409.08199)."""

__version__ = "0.1.0.dev0"
