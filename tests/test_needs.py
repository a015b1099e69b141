"""The table of what tests need of the system names tests that are there."""

from pathlib import Path

import pytest
from needs import NEEDS, reason_to_skip

TESTS = Path(__file__).parent


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.what)
def test_every_file_test_and_fixture_of_the_table_is_there(need):
    assert all((TESTS / file).is_file() for file in need.files)
    for file, name in (test.split("::") for test in need.tests):
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")
    fixtures = "".join(file.read_text(encoding="utf-8") for file in TESTS.rglob("conftest.py"))
    assert all(f"def {fixture}(" in fixtures for fixture in need.fixtures)


@pytest.mark.skipif(not all(need.is_met for need in NEEDS), reason="this system lacks something")
def test_nothing_is_skipped_where_every_need_is_met():
    assert reason_to_skip("cli/test_signals.py", "test_any", ["forks", "shell"]) == ""
