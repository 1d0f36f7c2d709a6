"""Style and script of the HTML report. The page's policy names their hashes: nothing is put into them."""

from __future__ import annotations

TABLES: dict[str, tuple[str, ...]] = {
    "waves": ("wave", "group", "size", "servers", "began", "took", "outcome"),
    "servers": (
        *("server", "id", "zone", "wave", "outcome", "reason"),
        *("what was seen", "asked", "back after", "job", "request"),
    ),
    "excluded": ("server", "id", "zone", "group", "reason", "detail"),
    "gates": ("when", "wave", "gate", "what it asks", "answer", "value", "reason"),
    "decisions": ("when", "what", "about", "by", "why"),
    "requests": ("request", "state", "servers", "asked", "answered", "code", "answer", "job", "request id", "by"),
    "course": ("when", "what"),
}
"""The headings of each kind of table. On a narrow page they stand before each cell."""

_LABELS = "\n".join(
    f'  table.{kind} td:nth-child({n})::before {{ content: "{name}"; }}'
    for kind, names in TABLES.items()
    for n, name in enumerate(names, 1)
)
_NARROW = f"""
svg.narrow {{ display: none; }}
@media (max-width: 700px) {{
  body {{ padding: .8rem; }}
  svg.wide {{ display: none; }} svg.narrow {{ display: block; }}
  dl {{ grid-template-columns: 1fr; gap: 0; }} dd {{ margin-bottom: .4rem; }}
  table, tbody, tr, td {{ display: block; }} thead {{ display: none; }}
  tr {{ border-bottom: 1px solid var(--line); padding: .4rem 0; }}
  td, tr:nth-child(even) td {{ display: grid; grid-template-columns: 6.5rem 1fr; gap: .5rem; border: 0;
    padding: .1rem 0; background: none; overflow-wrap: anywhere; }}
  td:empty {{ display: none !important; }}
  td::before {{ color: var(--soft); }}
{_LABELS}
}}
"""

STYLE = (
    """
:root { color-scheme: light dark; --fg: #1c2128; --bg: #fff; --soft: #59636e; --line: #d1d9e0; --card: #f6f8fa;
  --ready: #1a7f37; --failed: #cf222e; --unknown: #8250df; --skipped: #9a6700; --asked: #8a6200; --proving: #0969da;
  --pending: #818b98; --in_flight: #0550ae; --in_doubt: #bf3989; --pause: #afb8c1; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6edf3; --bg: #0d1117; --soft: #9198a1; --line: #3d444d;
  --card: #151b23; --ready: #3fb950; --failed: #f85149; --unknown: #ab7df8; --skipped: #d29922; --asked: #e3b341;
  --proving: #4493f8; --pending: #7d8590; --in_flight: #79c0ff; --in_doubt: #f778ba;
  --pause: #57606a; } }
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
td { overflow-wrap: break-word; } time { white-space: nowrap; }
table.servers td:nth-child(-n+2), table.excluded td:nth-child(-n+2) { min-width: 7rem; overflow-wrap: anywhere; }
table.servers td:nth-child(7), table.servers td:nth-child(n+10), table.excluded td:nth-child(6),
table.gates td:nth-child(n+3), table.requests td:nth-child(n+6), table.decisions td:nth-child(n+3),
table.course td:nth-child(2) { min-width: 7rem; overflow-wrap: anywhere; }
tr:nth-child(even) td { background: var(--card); }
code { font-family: ui-monospace, monospace; background: var(--card); padding: .1rem .3rem; overflow-wrap: anywhere; }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); padding: .2rem .5rem; }
span.ready { color: var(--ready); } span.failed { color: var(--failed); } span.unknown { color: var(--unknown); }
span.skipped { color: var(--skipped); } span.asked { color: var(--asked); } span.proving { color: var(--proving); }
span.in_flight { color: var(--in_flight); } span.in_doubt { color: var(--in_doubt); }
span.pending, span.not_started { color: var(--pending); }
.legend span { white-space: nowrap; } .legend span::before { content: "\\25a0\\00a0"; }
svg { max-width: 100%; height: auto; display: block; margin-top: .6rem; }
svg text { font: 10px system-ui, sans-serif; fill: var(--fg); } svg text.head { font-weight: 600; }
svg text.axis { fill: var(--soft); } svg line.axis { stroke: var(--line); stroke-width: 1; }
svg .ready { fill: var(--ready); } svg .failed { fill: var(--failed); } svg .unknown { fill: var(--unknown); }
svg .skipped { fill: var(--skipped); } svg .asked { fill: var(--asked); } svg .proving { fill: var(--proving); }
svg .in_flight { fill: var(--in_flight); } svg .in_doubt { fill: var(--in_doubt); }
svg .pause { fill: var(--pause); } span.pause { color: var(--soft); }
svg .pending, svg .not_started { fill: var(--pending); }
@media print { details { border: 0; } th { position: static; } input { display: none; } }
"""
    + _NARROW
)

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
