"""The HTML report in a real browser: narrow and wide, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.report.run_html import report_html
from tests.cli.scenes import paused_run
from tests.report.browser import NAMES, SCHEMES, WIDTHS, Browser, find_browser

pytestmark = pytest.mark.skipif(
    find_browser() is None, reason=f"no browser is installed ({', '.join(NAMES)})"
)

OVERFLOWING = """[...document.querySelectorAll('body, header, p, dd, li, code, details, table, td, svg')]
  .filter(e => e.getClientRects().length)
  .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth && e.tagName !== 'CODE'
            || e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + ' ' + e.textContent.slice(0, 40))"""  # noqa: E501
BROKEN = """(() => {
  const broken = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    if (!node.parentElement.getClientRects().length || node.parentElement.closest('svg, script')) continue;
    for (const word of node.data.matchAll(/(?<![^\\s-])[^\\s-]{2,24}(?![^\\s-])/g)) {
      const range = document.createRange();
      range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) broken.push(word[0]);
    }
  }
  return broken; })()"""  # noqa: E501
FAINT = """(() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number)
      .map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('.total, dt, dd, td, .legend span')].filter(e => {
    const [low, high] = [light(getComputedStyle(e).color), ground].sort((a, b) => a - b);
    return (high + .05) / (low + .05) < 4.4;
  }).map(e => e.className + ' ' + e.textContent.slice(0, 30)); })()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_browser()
    assert program
    with Browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_html(paused_run().report), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_is_readable(browser: Browser, page: Path, width: int, scheme: str) -> None:
    """Nothing is cut off or scrolls sideways, no word is broken, all text stands out,
    pauses are drawn.
    """
    browser.open(page, width, scheme)
    browser.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert browser.evaluate("document.title") == (
        "prod-kernel-2026-11: suspended (SIGINT): 14 of 60 servers ready, 2 failed, 20 in "
        "flight, 24 pending; 32m26s"
    )
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(OVERFLOWING) == []
    assert browser.evaluate(BROKEN) == []
    assert browser.evaluate(FAINT) == []
    shown = "[...document.querySelectorAll('svg')].filter(e => e.getClientRects().length)"
    assert (
        browser.evaluate(f"{shown}.map(e => e.getAttribute('class'))")
        == ["narrow" if width < 700 else "wide"] * 2
    )
    pauses = (
        f"{shown}.flatMap(e => [...e.querySelectorAll('.pause')]).map(e => "
        f"e.getBoundingClientRect().width)"
    )
    assert len(browser.evaluate(pauses)) == 3
    assert min(browser.evaluate(pauses)) > 40
    smallest = (
        f"Math.min(...{shown}.map(e => e.getBoundingClientRect().width / e.viewBox.baseVal.width))"
    )
    assert browser.evaluate(smallest) > 0.9, "the text of a picture is made smaller"
