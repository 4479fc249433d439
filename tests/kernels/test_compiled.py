"""All loops are compiled the same ways, and Python calls none that it cannot."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from types import CodeType, FunctionType

import pytest
from numba.core.dispatcher import Dispatcher

import gnnseg.kernels
from gnnseg.kernels.compiled import inlined, loop, part

MODULES = [
    "gnnseg.features.derive",
    *(f"gnnseg.kernels.{found.name}" for found in pkgutil.iter_modules(gnnseg.kernels.__path__)),
]


def compiled(module):
    return {name: value for name, value in vars(module).items() if isinstance(value, Dispatcher)}


def names(code):
    """Global names that a function uses, also in what it defines."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(names, inner))


def functions(owner):
    """Functions of Python of a module, those of its classes among them."""
    for value in vars(owner).values():
        found = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        found = found.fget if isinstance(found, property) else found
        if isinstance(found, FunctionType):
            yield found
        elif isinstance(found, type):
            yield from functions(found)


@pytest.mark.parametrize("name", MODULES)
def test_every_loop_is_one_of_three_kinds(name):
    kinds = [way(lambda: None).targetoptions for way in (loop, part, inlined)]
    for found in compiled(importlib.import_module(name)).values():
        assert found.targetoptions in kinds, found


@pytest.mark.parametrize("name", MODULES)
def test_only_loops_call_parts(name):
    module = importlib.import_module(name)
    parts = {
        name
        for name, found in compiled(module).items()
        if found.targetoptions.get("no_cpython_wrapper")
    }
    for function in functions(module):
        assert not parts & names(function.__code__), function


def imported(path):
    """What a file imports of the kernels by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        # Loops for a GPU are imported as modules, which their package need not know yet.
        if name.startswith("gnnseg.kernels.") and name != "gnnseg.kernels.cuda":
            module = importlib.import_module(name)
            yield from (getattr(module, alias.name) for alias in node.names)


def test_no_file_outside_the_kernels_takes_a_part(repo_root):
    files = [
        path
        for folder in ("tests", "experiments", "gnnseg")
        for path in (repo_root / folder).rglob("*.py")
        if "kernels" not in path.relative_to(repo_root).parts or folder == "tests"
    ]
    files = [path for path in files if "cuda" not in path.parts]
    taken = [(path, found) for path in files for found in imported(path)]
    assert taken
    for path, found in taken:
        options = getattr(found, "targetoptions", {})
        assert not options.get("no_cpython_wrapper"), (path, found)


def test_inlined_lines_are_no_function():
    @inlined
    def half(x):
        return x // 2

    @part
    def twice(x):
        return 2 * x

    @loop
    def both(x):
        return half(x) + twice(x)

    assert both(7) == 17
    assert not half.signatures
    assert len(twice.signatures) == 1
