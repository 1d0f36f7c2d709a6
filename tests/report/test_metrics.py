"""Figures as Prometheus reads them."""

from __future__ import annotations

from runner.report.metrics import Metric, counter, gauge, metrics_text


def test_the_text_format() -> None:
    """Help, type, samples with their labels; whatever stands in a label or a help stays on its line and in its
    quotes."""
    text = metrics_text(
        [
            gauge("a", "Line\nbreak \\ here.", 2),
            counter("b_total", 'With "quotes".', 0.25),
            Metric("c", "gauge", "Labelled.", {('x"} 1\ny 2\\', "z"): 1.0}, ("k", "l")),
            Metric("d_total", "counter", "Nothing yet.", {}, ("k",)),
        ]
    )
    assert text.splitlines() == [
        "# HELP a Line\\nbreak \\\\ here.",
        "# TYPE a gauge",
        "a 2",
        '# HELP b_total With "quotes".',
        "# TYPE b_total counter",
        "b_total 0.25",
        "# HELP c Labelled.",
        "# TYPE c gauge",
        'c{k="x\\"} 1\\ny 2\\\\",l="z"} 1',
        "# HELP d_total Nothing yet.",
        "# TYPE d_total counter",
    ]
