"""AuditoryBench: builder, verified sources, checks, export."""

from .loading import load_auditorybench


__all__ = ["load_auditorybench"]
