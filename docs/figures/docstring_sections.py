"""Extension of griffe: reads docstrings as the Markdown that they are, with their sections as headed lists.

The parsers that come with griffe expect one argument an entry, its type on one line; ours, like transformers', name
several at once and spell out shapes. Nothing of a docstring is lost here.
"""

import re

import griffe


_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Source|Examples?):\s*$")
_ENTRY = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}\w+)*)( \(|:)")


class DocstringSections(griffe.Extension):
    """Rewrites every docstring before it is rendered."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring with "Args:" and the like in bold, and their entries as a list."""
    lines, inside = [], False
    for line in text.splitlines():
        if match := _SECTION.match(line):
            inside = True
            lines += ["", f"**{match[1]}**", ""]
        elif inside and line and not line.startswith(" "):
            inside = False
            lines += ["", line]
        elif inside:
            lines.append(_entry(line[4:]))
        else:
            lines.append(line)
    return "\n".join(lines)


def _entry(line: str) -> str:
    match = _ENTRY.match(line)
    return f"- **{match[1].replace('*', chr(92) + '*')}**{line[match.end(1) :]}" if match else line
