"""Sections of fields are complete: a reader who finds one takes it for all there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "osanas"
CLASSES = [
    pytest.param(node, id=f"{path.relative_to(PACKAGE)}:{node.name}")
    for path in sorted(PACKAGE.rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef) and "Attributes:" in (ast.get_docstring(node) or "")
]


def test_there_are_sections() -> None:
    assert len(CLASSES) > 20


@pytest.mark.parametrize("node", CLASSES)
def test_a_section_of_attributes_lists_every_field_and_nothing_else(node: ast.ClassDef) -> None:
    section = (ast.get_docstring(node) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^    (\w+): ", section, re.MULTILINE)
    fields = [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[0] != "_"
    ]
    assigned = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    assert len(listed) == len(set(listed)) > 0
    assert [name for name in fields if name not in listed] == []
    assert [name for name in listed if name not in {*fields, *assigned}] == []
