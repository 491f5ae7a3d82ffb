"""The code blocks of the documentation, each with its class, and what each class is held to."""

import ast
import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from command_lines import parse

from audiobert.trainers.recipe import load_recipe


ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
)
CLASSES = {
    "run": "executed by the tests, on tiny models under the names of the text",
    "check": "too long or too far away for a test: every command, option, recipe setting, import and file is checked",
    "text": "output, a formula or a file's content: nothing to execute",
}
# "text" may not hide something that could be executed.
_TEXT_LANGUAGES = {"", "text", "bibtex", "json", "mermaid"}
_BLOCK = re.compile(r"(?:^<!-- snippet: (?P<kind>\w+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a page."""

    page: Path
    line: int
    kind: str | None
    language: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def command_lines(self) -> list[str]:
        """The shell's lines: of a console block only what stands behind a "$"; continued lines in one."""
        joined = re.sub(r"\\\n\s*", "", self.code)
        lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        if self.language == "console":
            return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [re.sub(r"\s+# .*$", "", line) for line in lines]


def snippets(page: Path) -> list[Snippet]:
    """Return the blocks of a page, in order. A block without a class has the kind None."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        language, kind = match["language"], match["kind"]
        if kind is None and language in _TEXT_LANGUAGES:
            kind = "text"
        line = text.count("\n", 0, match.start()) + 1
        found.append(Snippet(page, line, kind, language, match["code"]))
    return found


def check(snippet: Snippet) -> None:
    """Hold a block that is not executed to what can be told without executing it."""
    if snippet.language == "python":
        _check_python(snippet.code)
    elif snippet.language == "yaml":
        _check_recipes(snippet.code)
    else:
        assert snippet.command_lines, f"{snippet.name} holds no command"
        for line in snippet.command_lines:
            check_command(line)


def check_command(line: str) -> None:
    """Check one shell line: a command of ours with its options and recipe settings, or one that we know of."""
    line = re.sub(r"^(\w+=\S+ )+", "", line).removeprefix(".venv/bin/")
    words = shlex.split(line)
    checks = {"audiobert": _check_ours, "make": _check_make, "pip": _check_pip, "python": _check_script}
    known = ("git", "cd", "hf", "gaudirun", "export", "accelerate", "torchrun", "curl", "apt-get", "pytest", "lm_eval")
    if words[0] in checks:
        checks[words[0]](line if words[0] == "audiobert" else words)
    else:
        assert words[0] in known, f"'{line}': no check knows '{words[0]}'"


def _check_ours(line: str) -> None:
    name, values = parse(line)
    if name.startswith("train "):
        load_recipe(recipe_class(name.removeprefix("train ")), values["config"], values["overrides"] or [])


def recipe_class(kind: str) -> type:
    """Return the recipe that `audiobert train KIND` takes."""
    from audiobert.trainers import (
        audio_encoder_training,
        audiobert_training,
        clap_training,
        detector_training,
        lm_adapter_training,
    )

    return {
        "detector": detector_training.DetectorRecipe,
        "clap": clap_training.ClapRecipe,
        "audio-encoder": audio_encoder_training.AudioEncoderRecipe,
        "audiobert": audiobert_training.AudioBertRecipe,
        "lm-adapter": lm_adapter_training.LmAdapterRecipe,
    }[kind]


def _check_make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    named = [word for word in words[1:] if "=" not in word]
    assert set(named) <= set(targets), f"{' '.join(words)}: the Makefile has {targets}"


def _check_pip(words: list[str]) -> None:
    extras = re.findall(r'^    "([\w-]+)":', (ROOT / "setup.py").read_text("utf-8").partition("EXTRAS = {")[2], re.M)
    for word in words[2:]:
        if match := re.fullmatch(r"audiobert\[([\w,-]+)\]", word):
            assert set(match[1].split(",")) <= set(extras), f"{word}: setup.py has {extras}"


def _check_script(words: list[str]) -> None:
    script = next(word for word in words[1:] if not word.startswith("-"))
    if words[1] != "-m":
        assert script == "app.py" or (ROOT / script).is_file(), f"there is no {script}"


def _check_python(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "audiobert":
            assert hasattr(importlib.import_module("audiobert"), node.attr), f"audiobert has no {node.attr}"


def _check_recipes(code: str) -> None:
    import tempfile

    import yaml

    with tempfile.TemporaryDirectory() as folder:
        for number, document in enumerate(yaml.safe_load_all(code)):
            path = Path(folder) / f"{number}.yaml"
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            load_recipe(recipe_class(document["kind"].replace("_", "-")), path)
