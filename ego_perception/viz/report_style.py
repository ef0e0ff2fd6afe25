"""The style sheet of the report: neutral, light and dark by the reader's own setting, no font or file from outside."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #ffffff; --ink: #1f2329; --soft: #5f6672; --line: #dfe3e8;
  --accent: #1f77c4; --good: #00805d; --warn: #9a6700; --bad: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171c; --card: #1c2027; --ink: #e4e7ec; --soft: #98a1ae;
  --line: #2c323c; --accent: #5cb0f5; --good: #34c79a; --warn: #e6b04a; --bad: #f0844c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 12px; }
p { margin: 0 0 10px; }
.soft, figcaption { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; margin: 18px 0; }
.chips { display: flex; flex-wrap: wrap; gap: 8px; margin: 14px 0 0; }
.chip { border: 1px solid var(--line); border-radius: 999px; padding: 3px 12px; background: var(--card); }
.chip b { font-variant-numeric: tabular-nums; }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px; }
.ribbon { display: flex; height: 10px; border-radius: 5px; overflow: hidden; margin: 16px 0 0; position: relative;
  background: #009e73; }
.ribbon i { position: absolute; top: 0; bottom: 0; }
figure { margin: 0; }
figcaption { font-size: 13px; margin-top: 6px; }
.views { display: grid; grid-template-columns: 2fr 1fr; gap: 12px; }
.views figure:first-child { grid-row: span 2; }
.views img, .strip img { display: block; width: 100%; border-radius: 6px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 22px; align-items: start; }
@media (max-width: 760px) { .pair, .views { grid-template-columns: 1fr; } }
svg { width: 100%; height: auto; display: block; font-family: inherit; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: 13px; }
tr:last-child td { border-bottom: 0; }
td.number { font-weight: 600; white-space: nowrap; }
.strip { display: grid; gap: 6px; align-items: center; }
.strip .head { font-size: 13px; color: var(--soft); font-weight: 600; }
.strip .when { font-size: 13px; font-variant-numeric: tabular-nums; }
.scales { display: flex; flex-wrap: wrap; gap: 10px 28px; margin-top: 14px; font-size: 13px; color: var(--soft); }
.scales span { display: inline-flex; align-items: center; gap: 8px; }
.scales img { width: 120px; height: 10px; border-radius: 3px; }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; margin: 0 0 10px;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
details summary { cursor: pointer; color: var(--accent); }
details table { margin-top: 8px; font-size: 13px; }
.note { border-left: 3px solid var(--warn); padding: 2px 0 2px 12px; margin: 0 0 10px; }
@media print { section { break-inside: avoid; } }
"""
