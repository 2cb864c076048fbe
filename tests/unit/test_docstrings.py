"""Docstrings name what is passed: who reads one need not read the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "airflow_provider_asposeocr"


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the package, by its place."""
    for file in sorted(PACKAGE.rglob("*.py")):
        yield str(file.relative_to(PACKAGE)), ast.parse(file.read_text())


def public(body: list[ast.stmt], kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> Iterator[ast.AST]:
    """What stands in a body under a public name, and inside of its public classes."""
    for node in body:
        if isinstance(node, kind) and not getattr(node, "name", "_").startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, kind)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = function.args
    named = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    # A flow becomes a method of the hooks, where its first argument is the hook itself.
    return {name for name in named - {"self", "cls", "hook"} if not name.startswith("_")}


def missing(names: set[str], docstring: str) -> list[str]:
    return sorted(name for name in names if f":param {name}:" not in docstring)


def test_every_parameter_of_a_public_function_stands_in_its_docstring() -> None:
    untold = []
    for place, tree in trees():
        for function in public(tree.body, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            docstring = ast.get_docstring(function)
            # Without one it is another face of what has it: an overload, a method of a private class.
            if docstring is not None and (names := missing(parameters(function), docstring)):
                untold.append(f"{place}:{function.lineno} {function.name}: {names}")
    assert untold == []


def test_every_parameter_of_a_public_class_stands_in_its_docstring() -> None:
    untold = []
    for place, tree in trees():
        for kind in public(tree.body, ast.ClassDef):
            assert isinstance(kind, ast.ClassDef)
            docstring = ast.get_docstring(kind) or ""
            makers = [each for each in kind.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
            for maker in makers:
                if names := missing(parameters(maker), docstring):
                    untold.append(f"{place}:{kind.lineno} {kind.name}: {names}")
    assert untold == []
