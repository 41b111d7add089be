"""Rounds of figures, and how they are shown. Shared by the programs of bench/system."""
import statistics


def medians(rounds):
    return {k: {"median": statistics.median(r[k] for r in rounds), "min": min(r[k] for r in rounds),
                "max": max(r[k] for r in rounds)} for k in rounds[0]}


def count(x):
    return f"{x / 1e6:.2f} M" if x >= 1e6 else f"{x / 1e3:.1f} k"


def spread(m, how):
    low, middle, high = how(m["min"]), how(m["median"]), how(m["max"])
    return middle if low == high else f"{middle} ({low}-{high})"
