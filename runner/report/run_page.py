"""Style and script of the HTML report. The page's policy names their hashes: nothing is put into them."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --fg: #1c2128; --bg: #fff; --soft: #59636e; --line: #d1d9e0; --card: #f6f8fa;
  --ready: #1a7f37; --failed: #cf222e; --unknown: #8250df; --skipped: #9a6700; --asked: #bf8700; --proving: #0969da;
  --pending: #818b98; --flight: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6edf3; --bg: #0d1117; --soft: #9198a1; --line: #3d444d;
  --card: #151b23; --ready: #3fb950; --failed: #f85149; --unknown: #ab7df8; --skipped: #d29922; --asked: #e3b341;
  --proving: #4493f8; --pending: #7d8590; --flight: #79c0ff; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); margin: 0 auto; padding: 1.5rem;
  max-width: 90rem; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; }
.total { font-size: 1.2rem; font-weight: 600; padding: .6rem 1rem; border-left: .4rem solid var(--pending);
  background: var(--card); overflow-wrap: anywhere; }
.total.good { border-color: var(--ready); } .total.bad { border-color: var(--failed); }
.total.open { border-color: var(--asked); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .8rem 0; padding: .4rem .8rem;
  overflow-x: auto; }
summary { cursor: pointer; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin-top: .6rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; position: sticky; top: 0; background: var(--bg); }
td { overflow-wrap: anywhere; } tr:nth-child(even) td { background: var(--card); }
code { font-family: ui-monospace, monospace; background: var(--card); padding: .1rem .3rem; overflow-wrap: anywhere; }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); padding: .2rem .5rem; }
span.ready { color: var(--ready); } span.failed { color: var(--failed); } span.unknown { color: var(--unknown); }
span.skipped { color: var(--skipped); } span.asked { color: var(--asked); } span.proving { color: var(--proving); }
span.in_flight { color: var(--flight); } span.in_doubt { color: var(--unknown); }
span.pending, span.not_started { color: var(--pending); }
.legend span::before { content: "\\25a0\\00a0"; }
svg { max-width: 100%; height: auto; display: block; margin-top: .6rem; }
svg text { font: 10px system-ui, sans-serif; fill: var(--fg); } svg text.head { font-weight: 600; }
svg text.axis { fill: var(--soft); } svg line.axis { stroke: var(--line); stroke-width: 1; }
svg .ready { fill: var(--ready); } svg .failed { fill: var(--failed); } svg .unknown { fill: var(--unknown); }
svg .skipped { fill: var(--skipped); } svg .asked { fill: var(--asked); } svg .proving { fill: var(--proving); }
svg .in_flight { fill: var(--flight); } svg .in_doubt { fill: var(--unknown); }
svg .pending, svg .not_started { fill: var(--pending); }
@media print { details { border: 0; } th { position: static; } input { display: none; } }
"""

SCRIPT = """
for (const field of document.querySelectorAll("input[data-table]")) {
  field.closest("p").hidden = false;
  const rows = document.getElementById(field.dataset.table).tBodies[0].rows;
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) { row.hidden = !row.textContent.toLowerCase().includes(wanted); }
  });
}
"""
