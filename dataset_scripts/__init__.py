"""AuditoryBench: sources, builder, checks and export."""
