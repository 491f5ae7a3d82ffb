"""AuditoryBench (arXiv 2409.08199)."""
