"""Files made to break the program, through the commands that read files: refused, nothing executed, nothing swallowed.

Torch is imported once; each trial is a child of that process, under an audit hook, and tells what it took.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import altered
from hostile import ESCAPE, HOSTILE

LATEST = "diffusion_checkpoint.safetensors"
COMMANDS = {
    "resume": ["resume", "FILE", "--run-dir", "new"],
    "sample": ["sample", "--digit", "1", "--checkpoint", "FILE", "--seed", "0", "-o", "new.png"],
    "grid": ["grid", "FILE", "-o", "new.png"],
    "inspect": ["inspect", "FILE"],
}
# What only the network that the settings describe can tell; inspect builds none.
BEYOND_INSPECT = {f"tensor-{flaw}" for flaw in ("missing", "unknown", "of-another-shape", "nan", "infinite")}
SECONDS, MEBIBYTES = 5, 128

TRIALS = """
import json, os, resource, sys, time
from pathlib import Path
import torch._dynamo
from mnistdiff.cli import app
from mnistdiff.engine import pipeline, sampling
from mnistdiff.engine.evaluation import judge

FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class",
             "socket.connect")

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

def trial(arguments, out):
    done = []
    def hook(event, values):
        if event in FORBIDDEN and not done:
            os.write(2, f"FORBIDDEN {event} {values}\\n".encode())
    with open(out + ".out", "wb") as stdout, open(out + ".err", "wb") as stderr:
        os.dup2(stdout.fileno(), 1)
        os.dup2(stderr.fileno(), 2)
    open("/proc/self/clear_refs", "w").write("5")
    before, began = peak(), time.monotonic()
    sys.addaudithook(hook)
    code = app.run(arguments)
    done.append(True)
    sys.stdout.flush(), sys.stderr.flush()
    Path(out + ".json").write_text(json.dumps(
        {"code": code, "seconds": time.monotonic() - began, "mebibytes": (peak() - before) / 1024}))

for line in sys.stdin:
    arguments, out = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            trial(arguments, out)
        except BaseException as error:
            os.write(2, repr(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def trials(program, environment, tiny_run, tmp_path_factory):
    """What each command made of each file: ``{(file, command): outcome}``."""
    folder = tmp_path_factory.mktemp("hostile")
    whole = (tiny_run / LATEST).read_bytes()
    canary = folder / "canary"
    work = {}
    for name, make in HOSTILE.items():
        file = folder / "files" / f"{name}.safetensors"
        file.parent.mkdir(exist_ok=True)
        make(file, whole, canary)
        for command, words in COMMANDS.items():
            arguments = [str(file) if word == "FILE" else word for word in words]
            work[name, command] = arguments, str(folder / f"{name}-{command}")
    lines = "".join(json.dumps(job) + "\n" for job in work.values())
    cwd = tmp_path_factory.mktemp("cwd")
    subprocess.run([sys.executable, "-c", TRIALS], input=lines.encode(), cwd=cwd, env=environment(), check=True)
    assert list(cwd.iterdir()) == []  # no picture, no run folder

    def outcome(out):
        told, shown, said = (Path(f"{out}.{kind}").read_bytes() for kind in ("json", "out", "err"))
        return json.loads(told) | {"out": shown, "err": said}

    return {key: outcome(out) for key, (_, out) in work.items()} | {"canary": canary}


def test_there_are_many_files_and_every_command_was_given_each(trials):
    assert len(HOSTILE) >= 80
    assert len(trials) == 4 * len(HOSTILE) + 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_every_command(trials, name):
    for command in COMMANDS:
        found = trials[name, command]
        message = found["err"].decode()
        if command == "inspect" and name in BEYOND_INSPECT:
            assert found["code"] in (0, 3)
        else:
            assert found["code"] == (5 if name == "loop-of-links" else 3), (command, message)
            assert "error: " in message
            assert f"{name}.safetensors" in message
        assert "Traceback" not in message
        assert "FORBIDDEN" not in message
        assert b"\x1b" not in found["out"] + found["err"]
        assert found["seconds"] < SECONDS
        assert found["mebibytes"] < MEBIBYTES
    assert not trials["canary"].exists()


@pytest.mark.parametrize("name", ["pickle-system", "torch-zip-exec", "ten-gigabytes-of-nothing", "channels-a-billion"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_hostile_file_in_a_process_of_its_own(cli, tiny_run, tmp_path, name, command):
    file, canary = tmp_path / "file.safetensors", tmp_path / "canary"
    HOSTILE[name](file, (tiny_run / LATEST).read_bytes(), canary)
    done = cli(*[file if word == "FILE" else word for word in COMMANDS[command]], cwd=tmp_path)
    assert done.returncode == 3, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"file.safetensors"}


def test_what_a_valid_file_says_of_itself_cannot_steer_the_terminal(invoke, run_copy):
    """Whoever seals a file may write into its fingerprint what they like; it is shown, letter by letter."""
    file = run_copy / LATEST
    file.write_bytes(altered(file.read_bytes(), lambda values: values["fingerprint"].update(torch=ESCAPE)))
    for line in (["inspect", file], ["inspect", file, "--json"], ["resume", run_copy, "--max-steps", "46"]):
        done = invoke(*line)
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout + done.stderr
        assert b"\x07" not in done.stdout + done.stderr
        assert b"x1b[2J" in done.stdout + done.stderr or b"u001b[2J" in done.stdout
