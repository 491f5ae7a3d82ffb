"""AuditoryBench: sources, builder, checks and export."""

from .registration import register_auditorybench


__all__ = ["register_auditorybench"]
