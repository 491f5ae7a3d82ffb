"""The paper's pipeline that makes an AuditoryBench from captioned audio (arXiv 2409.08199, section II-A)."""
