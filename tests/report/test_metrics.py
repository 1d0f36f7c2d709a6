"""Figures as Prometheus reads them."""

from __future__ import annotations

from runner.report.metrics import Metric, metrics_text


def test_the_text_format() -> None:
    """Help, type, samples with their labels; whatever stands in a label or a help stays on its
    line and in its quotes.
    """
    text = metrics_text(
        [
            Metric("a", "Line\nbreak \\ here.", {(): 2}),
            Metric("b_total", 'With "quotes".', {(): 0.25}),
            Metric("c", "Labelled.", {('x"} 1\ny 2\\', "z"): 1.0}, ("k", "l")),
            Metric("d_total", "Nothing yet.", {}, ("k",)),
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
