"""AuditoryBench: builder, verified sources, checks, export."""

from .loading import load_auditorybench, load_auditorybench_splits, load_both_tasks


__all__ = ["load_auditorybench", "load_auditorybench_splits", "load_both_tasks"]
