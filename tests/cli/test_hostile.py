"""Files made to break the program, through the commands that read files: refused, nothing executed, nothing swallowed.

Each file is given to every command by a process under an audit hook, whose memory is measured.
"""

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


@pytest.fixture(scope="module")
def trials(forks, tiny_run, tmp_path_factory):
    """The process that gave each file to every command, by the name of the file, and the canary."""
    files, cwd = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("cwd")
    whole, canary = (tiny_run / LATEST).read_bytes(), files / "canary"
    processes = {}
    for name, make in HOSTILE.items():
        file = files / f"{name}.safetensors"
        make(file, whole, canary)
        first, *then = [[file if word == "FILE" else word for word in words] for words in COMMANDS.values()]
        _, processes[name] = forks.run(*first, then=then, cwd=cwd)
    assert list(cwd.iterdir()) == []  # no picture, no run folder
    return processes, canary


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_every_command(trials, name):
    processes, canary = trials
    for command, ended in zip(COMMANDS, processes[name].each, strict=True):
        message = ended.err.decode()
        if command == "inspect" and name in BEYOND_INSPECT:
            assert ended.code == 0
        else:
            assert ended.code == (5 if name == "loop-of-links" else 3), (command, message)
            assert "error: " in message
            assert f"{name}.safetensors" in message
        assert "Traceback" not in message
        assert "FORBIDDEN" not in message
        assert b"\x1b" not in ended.out + ended.err
        assert ended.seconds < SECONDS
    assert processes[name].mebibytes < MEBIBYTES
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("pickle-system", "sample"),
        ("torch-zip-exec", "inspect"),
        ("ten-gigabytes-of-nothing", "inspect"),
        ("channels-a-billion", "grid"),
    ],
)
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
