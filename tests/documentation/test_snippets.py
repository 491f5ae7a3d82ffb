"""Every block of code in the documentation is executed, or checked as far as it can be without."""

import shlex

import pytest
from snippets import CLASSES, PAGES, Snippet, check, snippets
from typer.testing import CliRunner

from audiobert.cli import app


ALL = [snippet for page in PAGES for snippet in snippets(page)]
RUN_PAGES = sorted({snippet.page for snippet in ALL if snippet.kind == "run"})
CHECKED = [snippet for snippet in ALL if snippet.kind == "check"]


def test_every_block_has_a_class():
    assert len(ALL) > 20
    assert {snippet.name: snippet.kind for snippet in ALL if snippet.kind not in CLASSES} == {}
    hidden = [snippet.name for snippet in ALL if snippet.kind == "text" and snippet.language in ("python", "bash")]
    assert hidden == []


def test_every_fence_of_the_pages_was_read():
    for page in PAGES:
        fences = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("```")]
        assert len(fences) == 2 * len(snippets(page)), page


@pytest.mark.parametrize("snippet", CHECKED, ids=lambda snippet: snippet.name)
def test_what_is_not_executed_is_checked(snippet):
    check(snippet)


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: page.name)
def test_what_can_be_executed_is_executed_page_by_page(page, workshop, monkeypatch):
    monkeypatch.chdir(workshop)
    names: dict = {"__name__": "__main__"}
    for snippet in snippets(page):
        if snippet.kind == "run":
            _execute(snippet, names)


def _execute(snippet: Snippet, names: dict) -> None:
    if snippet.language == "python":
        exec(compile(snippet.code, snippet.name, "exec"), names)  # noqa: S102 - our own documentation
        return
    assert snippet.command_lines, snippet.name
    for line in snippet.command_lines:
        words = shlex.split(line)
        assert words[0] == "audiobert", f"{snippet.name}: only commands of ours are executed, not '{line}'"
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, f"{snippet.name}: '{line}' ended with {result.exit_code}: {result.stderr}"


@pytest.mark.parametrize(
    ("language", "code", "reason"),
    [
        ("bash", "audiobert train detector --config cpu_small datadir=x\n", "data_dir"),
        ("bash", "make dmo\n", "dmo"),
        ("bash", 'pip install "audiobert[dmo]"\n', "dmo"),
        ("bash", "python benchmarks/nothing.py\n", "nothing.py"),
        ("bash", "curll x\n", "curll"),
        ("python", "from audiobert.trainers.prediction import fill_mask\n", "fill_mask"),
        ("python", "import audiobert\naudiobert.Bank\n", "Bank"),
        ("yaml", "kind: detector\nsed: [0]\n", "seeds"),
    ],
)
def test_a_mistake_in_the_documentation_is_noticed(language, code, reason):
    with pytest.raises(Exception, match=reason):
        check(Snippet(PAGES[0], 1, "check", language, code))
