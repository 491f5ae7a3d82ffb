"""Prompts: files of our own words, with a version, and what a request looks like."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["PromptFile", "as_data", "load_prompt"]

_SHIPPED = "audiobert.dataset_scripts.construction"
_SECTION = re.compile(r"^# (System|Example)[ \t]*$", re.MULTILINE)
_BLOCK = re.compile(r"```json\n(.*?)\n```", re.DOTALL)
# Without control characters, and those that hide text or turn its direction.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+")


@dataclass(frozen=True)
class PromptFile:
    """A prompt of the construction pipeline.

    Args:
        name, version (`str`): of the file's header; into the provenance of every row.
        sha256 (`str`): of the file, so that an edited prompt without a new version is told from the old one.
        system (`str`): what the model is told.
        examples (`tuple[tuple[dict, dict], ...]`): requests and their answers, given as earlier turns.
        styles (`tuple[str, ...]`): manners of writing, one of which goes into each request.
    """

    name: str
    version: str
    sha256: str
    system: str = field(repr=False)
    examples: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = field(repr=False)
    styles: tuple[str, ...] = field(default=(), repr=False)

    def messages(self, request: dict[str, Any]) -> tuple[dict[str, str], ...]:
        """Return the chat: instructions, examples, and the request as data."""
        turns = [("system", self.system)]
        for asked, answered in self.examples:
            turns += [("user", as_data(asked)), ("assistant", json.dumps(answered, ensure_ascii=False))]
        turns.append(("user", as_data(request)))
        return tuple({"role": role, "content": content} for role, content in turns)

    def facts(self) -> dict[str, str]:
        """Return what provenance records of the prompt."""
        return {"prompt": self.name, "prompt_version": self.version, "prompt_sha256": self.sha256[:16]}


def load_prompt(name_or_path: str | Path) -> PromptFile:
    """Return a prompt that comes with the package (`"categorize"`, `"animal"`, `"pitch"`), or a file of the user's.

    A file begins with a YAML header (`name`, `version`, perhaps `styles`) between `---` lines. Then come `# System`
    with the instructions, and any number of `# Example`, each with a request and an answer in a block of JSON.

    Raises:
        AudioBertInputError: there is no such file, or it is not of this form.
    """
    path = Path(name_or_path)
    try:
        if path.suffix == ".md":
            content = path.read_bytes()
        else:
            content = (resources.files(_SHIPPED) / "prompts" / f"{name_or_path}.md").read_bytes()
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise AudioBertInputError(f"the prompt '{path}' is not UTF-8 text. Save it as UTF-8.") from error
    except OSError as error:
        raise AudioBertInputError(f"cannot read the prompt '{path}': {error.strerror}.") from error
    return _parsed(text, hashlib.sha256(content).hexdigest(), f"the prompt '{name_or_path}'")


def as_data(request: dict[str, Any]) -> str:
    """Return a request as JSON between `<data>` tags, which nothing inside it can close.

    Strangers wrote what it holds: signs of tags are escaped, and characters that cannot be seen are spaces.
    """
    text = json.dumps(_visible(request), ensure_ascii=False)
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<data>\n{escaped}\n</data>"


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        # Half of a surrogate pair can stand in JSON, but in no request.
        return " ".join(_UNSEEN.sub(" ", value.encode("utf-8", "replace").decode("utf-8")).split())
    if isinstance(value, dict):
        return {key: _visible(entry) for key, entry in value.items()}
    return [_visible(entry) for entry in value] if isinstance(value, list) else value


def _parsed(text: str, sha256: str, where: str) -> PromptFile:
    header = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    try:
        facts = yaml.safe_load(header.group(1)) if header else None
    except yaml.YAMLError as error:
        raise AudioBertInputError(f"{where}: its header is not valid YAML.") from error
    if not isinstance(facts, dict) or not facts.get("name") or "version" not in facts:
        raise AudioBertInputError(f"{where} begins with no header of name and version between '---' lines.")
    _, *parts = _SECTION.split(text[header.end() :])
    sections = list(zip(parts[::2], parts[1::2], strict=True))
    system = [body.strip() for title, body in sections if title == "System"]
    if len(system) != 1 or not system[0]:
        raise AudioBertInputError(f"{where} needs one section '# System' with the instructions.")
    return PromptFile(
        name=str(facts["name"]),
        version=str(facts["version"]),
        sha256=sha256,
        system=system[0],
        examples=tuple(_example(body, where) for title, body in sections if title == "Example"),
        styles=tuple(map(str, facts.get("styles") or ())),
    )


def _example(body: str, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        asked, answered = map(json.loads, _BLOCK.findall(body))
    except ValueError as error:
        raise AudioBertInputError(
            f"{where}: an '# Example' needs two ```json blocks, the request and its answer ({error})."
        ) from error
    return asked, answered
