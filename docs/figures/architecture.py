"""Draws the way of one sentence through AudioBERT.

python docs/figures/architecture.py    # writes architecture.svg beside itself
"""

from pathlib import Path
from xml.sax.saxutils import escape


_WIDTH, _HEIGHT = 960, 400
_STYLE = """
  text { font: 15px system-ui, sans-serif; fill: #2b1d00; text-anchor: middle; }
  .small { font-size: 12px; fill: #5c4a28; }
  .box { fill: #fff7e0; stroke: #b45309; stroke-width: 1.5; }
  .model { fill: #f1f3f5; stroke: #868e96; stroke-width: 1.5; }
  .bank { fill: #e7f5ff; stroke: #1971c2; stroke-width: 1.5; }
  .arrow { stroke: #5c4a28; stroke-width: 1.8; fill: none; marker-end: url(#tip); }
  .background { fill: #ffffff; }
"""
# (left, top, width, kind, title, what it does)
_BOXES = [
    (20, 60, 150, "box", "sentence", "Meow is the sound a [MASK] makes."),
    (230, 60, 150, "model", "span detector", "which words name a sound?"),
    (440, 60, 150, "model", "CLAP, text tower", "“Meow sound” as query"),
    (650, 60, 290, "bank", "audio bank: keys", "CLAP's audio embedding of each clip"),
    (650, 180, 290, "bank", "audio bank: values", "the audio encoder's embedding of each clip"),
    (440, 180, 150, "model", "projection", "to the embeddings"),
    (230, 300, 360, "model", "language model, adapter on", "the value is added at the span's first token"),
    (20, 180, 150, "model", "language model", "adapter off"),
    (650, 300, 290, "box", "answer with evidence", "cat …, spans, clips, similarities"),
]
_ARROWS = [
    (170, 90, 230, 90),
    (380, 90, 440, 90),
    (590, 90, 650, 90),
    (795, 120, 795, 180),
    (650, 210, 590, 210),
    (515, 240, 515, 300),
    (95, 120, 95, 180),
    (590, 330, 650, 330),
]
_PATHS = ["M 305 120 L 305 300", "M 95 240 L 95 372 L 795 372 L 795 362"]
_LABELS = [
    (620, 78, "search"),
    (852, 155, "the clip found"),
    (370, 275, "rows with a span"),
    (200, 388, "rows without a span, bit for bit; hearing off"),
]


def drawing() -> str:
    """Return the SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="The way of one sentence through AudioBERT">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M 0 0 L 8 4 L 0 8 z" fill="#5c4a28"/></marker></defs>',
        f'<rect class="background" width="{_WIDTH}" height="{_HEIGHT}"/>',
        f'<text x="{_WIDTH // 2}" y="32">detect, query, search, inject, predict</text>',
    ]
    for left, top, width, kind, title, detail in _BOXES:
        middle = left + width / 2
        size = "" if len(detail) * 6.4 < width - 12 else f' textLength="{width - 12}" lengthAdjust="spacingAndGlyphs"'
        parts += [
            f'<rect class="{kind}" x="{left}" y="{top}" width="{width}" height="60" rx="8"/>',
            f'<text x="{middle:g}" y="{top + 25}">{escape(title)}</text>',
            f'<text class="small" x="{middle:g}" y="{top + 45}"{size}>{escape(detail)}</text>',
        ]
    parts += [f'<path class="arrow" d="M {a} {b} L {c} {d}"/>' for a, b, c, d in _ARROWS]
    parts += [f'<path class="arrow" d="{path}"/>' for path in _PATHS]
    parts += [f'<text class="small" x="{x}" y="{y}">{escape(label)}</text>' for x, y, label in _LABELS]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
