"""What the program can say when something is wrong, collected from its source code.

Each sentence is as a person sees it, with … for what only the moment knows: a path, a number.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.documents import ROOT

# Only who changes the book of styles reads what is wrong with it.
FILES = (
    *(
        path
        for path in sorted((ROOT / "digit_classification").rglob("*.py"))
        if path.name != "book.py"
    ),
    *sorted(ROOT.glob("*.py")),
)

# Calls whose first argument is said to the user, beside those of the project's own exceptions.
SAYING = {
    "ArgumentTypeError",
    "Text",
    "TypeError",
    "ValueError",
    "_broken",  # of forms
    "error",  # of the argument parser
    "error_text",
    "kind",  # where one of two exceptions is chosen
    "notice",
}
# Keyword arguments that are shown as the reason why a picture has no digit.
REASONS = {"error", "note", "problem", "reason", "rejection"}
# Functions, tables and variables with parts of sentences.
PARTS = {
    "BLANK",
    "NO_DIGIT",
    "NO_TABLE",
    "SEVERAL",
    "_ADVICE",
    "_cannot",
    "_compared",
    "_doubts",
    "_hint",
    "_login_problem",
    "_network_problem",
    "_no_match",
    "_serve",
    "_suggestion",
    "_store_error",
    "_too_large",
    "_unusable",
    "_why_no_archive",
    "_why_no_pickle",
    "_why_not_stored",
    "_with_words_of_decoder",
    "_words_of_decoder",
    "find_digit",
    "kept",
    "kind",
    "noise_in",
}
# Arguments that are no literals, and hand on what was found elsewhere.
HANDED_ON = {
    "_reason(error)",  # what the operating system says
    "answer['problem']",  # from _serve
    "rest.decode()",  # from _serve
    "self.problem",
    "str(error)",
    "str(page)",
}


@dataclass(frozen=True)
class Module:
    """A source file and what its names mean once it is imported."""

    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def names(self) -> Mapping[str, Any]:
        dotted = ".".join(self.path.relative_to(ROOT).with_suffix("").parts)
        return vars(importlib.import_module(dotted))

    def texts(self, node: ast.AST | None) -> Iterator[str]:
        """Yield the literals of an expression, those of a branch each on its own."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(map(self._part, node.values))
        elif isinstance(node, ast.IfExp):
            yield from self.texts(node.body)
            yield from self.texts(node.orelse)
        elif isinstance(node, ast.BoolOp | ast.Tuple | ast.List):
            for inner in node.values if isinstance(node, ast.BoolOp) else node.elts:
                yield from self.texts(inner)
        elif isinstance(node, ast.Dict):
            for inner in node.values:
                yield from self.texts(inner)
        elif isinstance(node, ast.Name) and isinstance(self.names.get(node.id), str):
            yield self.names[node.id]

    def _part(self, value: ast.expr) -> str:
        """Return a part of an f-string: itself, a constant text, or … for anything else."""
        if isinstance(value, ast.Constant):
            return str(value.value)
        assert isinstance(value, ast.FormattedValue)
        try:
            known = eval(compile(ast.Expression(value.value), "", "eval"), dict(self.names))
        except Exception:  # it needs more than the module's own names
            return "…"
        return known if isinstance(known, str) else "…"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _exceptions(modules: list[Module]) -> set[str]:
    """Return the names of the exceptions that the project defines."""
    return {
        node.name
        for module in modules
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and issubclass(module.names[node.name], Exception)
    }


def plain(sentence: str) -> str:
    """Return a sentence on one line, with one … where several meet."""
    return re.sub("…( ?…)+", "…", " ".join(sentence.split()))


def _said(module: Module, saying: set[str]) -> Iterator[tuple[int, ast.expr | None]]:
    """Yield the expressions of a module that the user gets to read, each with its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in REASONS:
                    yield node.lineno, keyword.value
            if _name(node.func) in saying and node.args:
                yield node.lineno, node.args[0]
        elif isinstance(node, ast.FunctionDef) and node.name in PARTS:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return | ast.Assign):
                    yield inner.lineno, inner.value
        elif isinstance(node, ast.Assign) and _name(node.targets[0]) in PARTS:
            yield node.lineno, node.value


def collect() -> dict[str, str]:
    """Return the sentences, each with its place in the code."""
    modules = [Module(path) for path in FILES]
    saying = _exceptions(modules) | SAYING
    return {
        plain(text): f"{module.path.name}:{line}"
        for module in modules
        for line, expression in _said(module, saying)
        for text in module.texts(expression)
        if re.search("[a-z]{2}", text)
    }


def not_understood() -> list[str]:
    """Return where the project raises an exception whose words `collect` cannot follow."""
    modules = [Module(path) for path in FILES]
    exceptions = _exceptions(modules)
    return [
        f"{module.path.name}:{call.lineno}: {ast.unparse(call.args[0])}"
        for module in modules
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call) and _name(call.func) in exceptions and call.args
        if not [*module.texts(call.args[0])] and not _is_handed_on(call.args[0])
    ]


def _is_handed_on(argument: ast.expr) -> bool:
    from_parts = isinstance(argument, ast.Call) and _name(argument.func) in PARTS
    return from_parts or ast.unparse(argument) in HANDED_ON
