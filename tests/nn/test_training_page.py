"""What docs/training.md shows is true of today's code: its examples run in order and print what it says."""

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def blocks(kind, language):
    found = re.findall(rf"<!-- {kind}: ([\w -]+) -->\n```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert len(found) == PAGE.count(f"<!-- {kind}: ")
    return dict(found)


def test_the_examples_of_the_page_run_and_print_what_it_says(capsys):
    examples, outputs = blocks("example", "python"), blocks("output", "text")
    assert list(examples) == list(outputs)
    assert PAGE.count("```python") == len(examples)
    namespace = {}
    for name, source in examples.items():
        exec(compile(source, f"docs/training.md: {name}", "exec"), namespace)  # noqa: S102  # our own page
        assert capsys.readouterr().out == outputs[name], name
