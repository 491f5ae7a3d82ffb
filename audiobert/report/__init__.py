"""Reports of measured models: tables beside the paper's figures, plots, and a page to listen to."""

from .writing import ReportOptions, write_report


__all__ = ["ReportOptions", "write_report"]
