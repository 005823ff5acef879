"""The public names: there, documented, loaded when first used and not before."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys

import pytest

import sansheng


def in_a_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_is_listed_is_there_and_says_what_it_is() -> None:
    assert set(sansheng.__all__) <= set(dir(sansheng))
    for name in sansheng.__all__:
        thing = getattr(sansheng, name)
        assert callable(thing), name
        assert inspect.getdoc(thing), name


def test_the_type_checker_is_told_of_the_names_that_are_loaded() -> None:
    source = inspect.getsource(sansheng)
    told = re.findall(r"^    from (sansheng\.\w+) import (.+)$", source, re.MULTILINE)
    there = {name: module for module, names in told for name in names.split(", ")}
    assert sorted(there) == sorted(sansheng.__all__)
    for name, module in there.items():
        assert getattr(sansheng, name) is getattr(importlib.import_module(module), name)


def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", sansheng.__version__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        sansheng.trian  # noqa: B018


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sansheng, sys; dir(sansheng); print([m for m in sys.modules if m.startswith('sansheng.')])"
    assert in_a_fresh_python(code) == "[]"


def test_the_function_compare_is_never_hidden_by_the_module_of_that_name() -> None:
    module = importlib.import_module("sansheng.compare")
    setattr(sansheng, "compare", module)  # noqa: B010  (what importing the module does)
    assert sansheng.compare is module.compare
