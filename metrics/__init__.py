"""Metrics in the layout of the evaluate library: one folder a metric."""
