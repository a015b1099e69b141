"""How the studio starts, and how it ends: by a signal at once, whatever it does; and what keeps it from starting."""

import signal
import socket
from contextlib import ExitStack

import pytest

LONG = {"text": "7", "n": 64, "seed": 1, "steps": 500, "sampler": "ddpm", "guidance": 3.0}
END_SECONDS = 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_at_once_in_the_middle_of_a_drawing_with_others_waiting(start_studio, number):
    studio = start_studio("--checkpoint", "bundled")
    with ExitStack() as stack:
        streams = [studio.stream("/api/draw", LONG) for _ in range(3)]
        for stream in streams:
            stack.callback(stream.close)
            next(stream)
        while next(streams[0]).name != "step":
            pass
        studio.process.send_signal(number)
        assert studio.process.wait(END_SECONDS) == 128 + number
    assert studio.process.stderr.read().splitlines() == [b"the studio of bundled-2; Ctrl-C ends it"]


def test_a_port_that_is_in_use_is_said_in_one_sentence(cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("studio", "--no-open", "--checkpoint", "bundled", "--port", port)
    assert (done.returncode, done.stdout) == (5, b"")
    assert f"--port {port}".encode() in done.stderr
    assert b"in use" in done.stderr


WRONG = {
    "a damaged model": (3, ["--checkpoint", "damaged.safetensors"]),
    "no model": (3, ["--checkpoint", "nowhere"]),
    "no port": (2, ["--port", "70000"]),
    "no address of this machine": (5, ["--host", "192.0.2.1"]),
    "a name": (2, ["--host", "a.example"]),
    "no name": (2, ["--host", "./-x"]),
    "a name without end": (2, ["--host", "a" * 5000]),
    "an empty address": (2, ["--host", ""]),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_before_it_starts(forked, tiny_run, tmp_path, what):
    content = bytearray((tiny_run / "diffusion_checkpoint.safetensors").read_bytes())
    content[-100] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(content)
    code, words = WRONG[what]
    done = forked("studio", "--no-open", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, b"")
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 8
