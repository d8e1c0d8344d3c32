"""Medians and spreads of several runs."""

import statistics


def median(values):
    """The median; None of nothing."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def spread(values):
    """How far the runs are apart, as a share of their median: the half of (largest - smallest)."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0
