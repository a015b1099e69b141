import json
import re
import shlex
import subprocess
import sys

import pytest

from mnistdiff import __version__
from mnistdiff.cli.registry import COMMANDS as ENTRIES
from mnistdiff.cli.registry import load

COMMANDS = list(ENTRIES)
EXAMPLES = [
    (name, line)
    for name in COMMANDS
    for line in (load(name).epilog or "").splitlines()
    if line.startswith("mnistdiff ")
]
HEAVY = (
    "torch",
    "torchvision",
    "numpy",
    "matplotlib",
    "PIL",
    "onnxruntime",
    "starlette",
    "uvicorn",
    "mnistdiff.studio",
)
WHICH_ARE_LOADED = f"""
import json, sys
from mnistdiff.cli.app import run
codes, loaded = {{}}, {{}}
for line in json.loads(sys.argv[1]):
    codes[line] = run(line.split())
    loaded[line] = [name for name in {HEAVY} if name in sys.modules]
print(json.dumps([codes, loaded]), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["train", "-h"]])
def test_help_in_a_process_of_its_own_goes_to_stdout_without_escape_codes(cli, arguments):
    done = cli(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Usage: mnistdiff" in done.stdout
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself_within_the_width(invoke, monkeypatch, command):
    words = [command] if command else []
    texts = {}
    for columns in (40, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = invoke(*words, "--help")
        assert (done.returncode, done.stderr) == (0, b"")
        texts[columns] = text = done.stdout.decode()
        assert "Usage: mnistdiff" in text
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= columns
    assert re.findall(r"<[a-z].*?>", texts[80]) == []  # the types of Python
    if command in ("", "train"):
        assert invoke(*words, "-h").stdout.decode() == texts[80]


def test_help_may_also_be_asked_for_as_a_command(invoke):
    for line, same in (("help", "--help"), ("help sample", "sample --help"), ("help inspect", "inspect --help")):
        asked, expected = invoke(*line.split()), invoke(*same.split())
        assert (asked.returncode, asked.stdout, asked.stderr) == (0, expected.stdout, b"")
    assert invoke("help", "sampel").returncode == 2


def test_the_short_list_of_commands_names_each_once(invoke):
    text = invoke("--help").stdout.decode()
    for name in {"train", "resume", "sample", "grid", "inspect-checkpoint"}:
        assert sum(line.strip("│ ").startswith(f"{name} ") for line in text.splitlines()) == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_in_the_list_is_the_first_of_its_own_help(name):
    assert load(name).help.split("\n")[0] == ENTRIES[name].summary


def test_help_of_the_program_loads_no_command(environment):
    program = "import sys; from mnistdiff.cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, check=True)
    loaded = done.stderr.decode().split()
    assert [name for name in loaded if name in {"pydantic", "mnistdiff.settings", "mnistdiff.cli.commands.train"}] == []


def test_every_command_has_an_example_and_shows_it(invoke):
    assert {name for name, _ in EXAMPLES} == set(COMMANDS)
    assert "mnistdiff train --preset fast" in invoke("train", "--help").stdout.decode()


@pytest.mark.parametrize("example", [line for _, line in EXAMPLES])
def test_every_example_parses(example):
    assert parses(example)


def parses(example):
    """Whether the program would take it; what it takes wrongly, it refuses with an exception."""
    for command in example.split(" | "):
        words = shlex.split(command)[1:]
        words = words[: words.index(">")] if ">" in words else words
        context = load(words[0]).make_context(words[0], words[1:])
        if not context.params or context.args:
            return False
    return True


def test_what_needs_no_network_loads_no_heavy_package(tiny_run, environment):
    quick = ["--help", "--version", *(f"{name} --help" for name in COMMANDS)]
    wrong = ["trian", "train --epocs 3", "train --epochs 0", "sample --digit 12", "sample -o a.jpg", "grid -o dir/"]
    others = ["train --dry-run", f"inspect {tiny_run}", f"inspect {tiny_run} --json", "inspect missing"]
    lines = [*quick, *wrong, *others]
    done = subprocess.run(
        [sys.executable, "-c", WHICH_ARE_LOADED, json.dumps(lines)], env=environment(), capture_output=True, check=True
    )
    codes, loaded = json.loads(done.stderr.splitlines()[-1])
    assert loaded == dict.fromkeys(lines, [])
    assert [codes[line] for line in lines] == [0] * len(quick) + [2] * len(wrong) + [0, 0, 0, 3]


def test_the_version_is_one_line_on_stdout(invoke):
    done = invoke("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mnistdiff {__version__}\n".encode(), b"")


def test_without_arguments_and_terminal_there_is_short_help_on_stderr(cli):
    done = cli()
    assert (done.returncode, done.stdout) == (2, b"")
    for word in (b"train", b"resume", b"sample", b"grid", b"inspect", b"--help"):
        assert word in done.stderr
    assert len(done.stderr.splitlines()) < 8


def test_a_closed_stdin_or_stderr_is_no_terminal_either(environment):
    for redirection, talk in (("<&-", b"usage: mnistdiff"), ("2>&-", b"")):
        words = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "mnistdiff"]
        done = subprocess.run(words, env=environment(), capture_output=True)
        assert (done.returncode, done.stdout) == (2, b"")
        assert talk in done.stderr
        assert b"Traceback" not in done.stderr


def test_help_names_one_default_guidance_and_it_is_the_one_taken(invoke):
    texts = {name: load(name) for name in ("sample", "grid", "interpolate", "inpaint", "evaluate", "edit")}
    for name, command in texts.items():
        [guidance] = [parameter.help for parameter in command.params if parameter.name == "guidance"]
        assert guidance.count("default") == 1
        assert "uidance is" not in command.help
        assert ("default 2)" in guidance) == (name == "edit")
        by_model = "default 1.3; 1.5 for a model trained on fewer than 100,000 images; 1.7 in the interval 0.2:0.6"
        assert (by_model in guidance) == (name != "edit")
    invoke("sample", "-c", "bundled-teacher", "-d", 7, "--seed", 1, "-o", "seven.png", "-q")
    invoke("edit", "seven.png", "-c", "bundled", "-d", 1, "--seed", 1, "-o", "edited.png", "-q")
    for name, guidance in (("seven.png", 1.7), ("edited.png", 2.0)):
        done = invoke("reproduce", name, "--json", "--force")
        assert json.loads(done.stdout)["settings"]["guidance"] == guidance
