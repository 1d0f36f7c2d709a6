"""Figures in the text format that Prometheus reads (its page "Exposition formats",
version 0.0.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its samples by label values, in the order of `labels`. A counter's name
    ends with `_total`.
    """

    name: str
    help: str
    samples: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()


def metrics_text(metrics: Iterable[Metric]) -> str:
    """The page: each metric with its help and type, each sample on a line."""
    lines: list[str] = []
    for metric in metrics:
        kind = "counter" if metric.name.endswith("_total") else "gauge"
        lines += [f"# HELP {metric.name} {_help(metric.help)}", f"# TYPE {metric.name} {kind}"]
        for values, number in metric.samples.items():
            named = ",".join(
                f'{k}="{_value(v)}"' for k, v in zip(metric.labels, values, strict=True)
            )
            lines.append(f"{metric.name}{f'{{{named}}}' if named else ''} {_number(number)}")
    return "\n".join(lines) + "\n"


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _value(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))
