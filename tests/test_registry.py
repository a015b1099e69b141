"""Open tables of named things."""

import subprocess
import sys

import pytest

from mnistdiff.registry import Registry


def table() -> "Registry[int]":
    return Registry("number", ("one", "two"), "mnistdiff")


def test_names_are_known_before_the_entries_are_imported():
    program = (
        "from mnistdiff.registry import Registry; t = Registry('x', ['a'], 'no.such.module'); print(t.require('a'))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "a\n"


def test_an_entry_is_found_by_its_name_and_a_new_name_is_accepted_from_then_on():
    numbers = table()
    with pytest.raises(ValueError, match="'one' or 'two'"):
        numbers.require("three")
    numbers.add("three", 3)
    assert numbers.require("three") == "three"
    assert numbers["three"] == 3
    assert list(numbers) == ["one", "two", "three"]


def test_a_module_for_each_entry_is_named_by_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    numbers = Registry("number", ("first", "second"), "module_of_{}")
    monkeypatch.setitem(sys.modules, "the_table", numbers)
    (tmp_path / "module_of_second.py").write_text("import sys; sys.modules['the_table'].add('second', 2)")
    assert numbers["second"] == 2


def test_a_name_has_one_entry():
    numbers = table()
    numbers.register("one")(1)
    with pytest.raises(ValueError, match="one"):
        numbers.register("one")(2)
    assert numbers["one"] == 1


def test_a_name_without_an_entry_is_a_key_error_that_names_all():
    with pytest.raises(KeyError, match=r"four.*one, two"):
        table()["four"]
