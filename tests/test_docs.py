"""The documents agree with the program: links, equations, exit codes, the command line reference, the README's Python.

Their commands run in cli/test_examples.py, the keys of JSON are compared in cli/test_json.py.
"""

import ast
import importlib
import re

import pytest
from documents import FILES, ROOT, blocks, section, table, text_of
from reference import PAGE, reference

import mnistdiff.engine
from mnistdiff.cli.exit_codes import ExitCode
from mnistdiff.cli.registry import load
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

README = text_of("README.md")
SECTIONS = [
    "Install and draw",
    "Six commands",
    "From Python",
    "Train your own",
    "What a run folder holds",
    "Results",
    "Where to read on",
    "Licence and sources",
]
EQUATIONS = table(text_of(".github/docs/paper-to-code.md"))


def test_the_readme_is_short_and_in_order():
    lines = README.splitlines()
    assert len(lines) <= 130
    assert [line for line in lines if len(line) > 110] == []
    assert re.findall(r"^## (.*)", README, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_link_leads_to_a_file_and_a_heading(file):
    for address in re.findall(r"\]\((?!https?:)([^)\s]+)\)", file.read_text(encoding="utf-8")):
        path, _, anchor = address.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), address
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), address


def anchors(text):
    """The anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_equations_is_complete():
    assert len(EQUATIONS) >= 20
    assert {len(row) for row in EQUATIONS} == {4}


@pytest.mark.parametrize("row", EQUATIONS, ids=lambda row: row[1][:30])
def test_each_equation_is_a_function_and_has_a_test(row):
    file, name = re.fullmatch(r"`([\w/]+)\.py` `([\w.]+)`", row[2]).groups()
    found = importlib.import_module(f"mnistdiff.engine.{file.replace('/', '.')}")
    for part in name.split("."):
        found = getattr(found, part)
    test_file, test = re.fullmatch(r"`([\w/.]+)` `(\w+)`", row[3]).groups()
    assert f"\ndef {test}(" in text_of(f"tests/engine/{test_file}")


def test_the_reference_of_commands_is_that_of_the_program():
    """If this fails: python tests/reference.py."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_the_settings_without_a_flag_are_named():
    sentence = re.search(
        r"^Settings without a flag are (.*?)\.$", text_of(".github/docs/training.md"), re.DOTALL | re.M
    )[1]
    flags = {parameter.name for parameter in load("train").params}
    assert set(re.findall(r"`(\w+)`", sentence)) == TrainSettings.model_fields.keys() - flags


def test_every_exit_code_is_explained():
    codes = {
        int(code)
        for row in table(section(PAGE.read_text(encoding="utf-8"), "Exit codes"))
        for code in row[0].split(",")
    }
    assert codes == set(ExitCode)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [example] = blocks(section(README, "From Python"), "python")
    exec(example, {})
    assert int(capsys.readouterr().out) in range(10)
    assert {path.name for path in tmp_path.iterdir()} == set(re.findall(r"\w+\.(?:png|gif)", example))


def test_the_files_that_the_contributing_guide_names_exist():
    paths = set(re.findall(r"`([\w./]+/[\w./]*)`", text_of(".github/CONTRIBUTING.md")))
    assert len(paths) > 10
    assert [path for path in paths if not ((ROOT / path).exists() or (ROOT / "mnistdiff" / path).exists())] == []


def test_modules_import_in_the_order_of_the_contributing_guide():
    listed = re.search(r"parts of this list: (.*?)\.", text_of(".github/CONTRIBUTING.md"), re.DOTALL)[1]
    rank = {name: at for at, part in enumerate(listed.split(",")) for name in re.findall(r"`(\w+)`", part)}
    assert len(rank) > 10
    for file in (ROOT / "mnistdiff").rglob("*.py"):
        importer = rank.get(part_of(".".join(file.relative_to(ROOT).with_suffix("").parts)), len(rank))
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in (
            node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ):
            node.body = []
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
            assert rank.get(part_of(node.module), 0) <= importer, f"{file} imports {node.module}"


def part_of(module):
    """The part of the package that a module belongs to: ``diffusion`` of ``mnistdiff.engine.diffusion.samplers``."""
    names = [*module.removeprefix("mnistdiff.").split("."), ""]
    return (names[1] or names[0]) if names[0] == "engine" else names[0] if module.startswith("mnistdiff.") else ""


def test_the_network_of_the_contributing_guide_is_accepted(monkeypatch):
    monkeypatch.setattr(NETWORKS, "_names", [*NETWORKS.names])
    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS))
    [example] = blocks(text_of(".github/CONTRIBUTING.md"), "python")
    exec(example, {"__name__": "example"})
    from mnistdiff.engine.network.build import build_network

    assert build_network(TrainSettings(network="convolution")).num_parameters == 10


def test_every_module_has_a_docstring():
    files = sorted((ROOT / "mnistdiff").rglob("*.py"))
    assert [file for file in files if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))] == []


def test_the_reading_order_of_the_engine_names_its_packages():
    named = re.findall(r"^\d+\. ``(\w+)``", mnistdiff.engine.__doc__, re.MULTILINE)
    packages = {file.parent.name for file in (ROOT / "mnistdiff/engine").glob("*/__init__.py")}
    assert packages - set(named) == set()
    for name in named:
        importlib.import_module(f"mnistdiff.engine.{name}")
