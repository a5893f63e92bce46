"""Programs that mean harm, each contained, with nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ama_ray.processes import sandbox
from ama_ray.processes.sandbox import Limits, run

pytestmark = pytest.mark.long

LIMITS = Limits(seconds=5, memory_mb=512, processes=16, files_mb=8)
_RUNS = 'open("program.py", encoding='
"""In the command line of every process that runs a program."""
ISOLATED = pytest.mark.skipif(bool(sandbox.trouble()), reason=f"no sandbox on this machine: {sandbox.trouble()}")


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    def there() -> set[str]:
        return {str(path) for folder in (Path.home(), Path("/tmp"), Path.cwd()) for path in folder.iterdir()}

    before = there()
    yield
    until = time.monotonic() + 5
    # The whole call, since pytest-xdist's processes name themselves after a test and its parameters.
    while left := [each for each in psutil.process_iter(["cmdline"]) if _RUNS in " ".join(each.info["cmdline"] or ())]:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    assert not {path for path in there() - before if "program" in path or "harm" in path}


@pytest.mark.parametrize("isolated", [pytest.param(True, marks=ISOLATED), False])
@pytest.mark.parametrize(
    ("program", "passed"),
    [
        ("assert 1 + 1 == 2", True),
        ("import json, math, collections, numpy\nprint('hello')", True),
        ("import os; assert os.listdir() == ['program.py']; open('mine', 'w').write('x')", True),
        ("assert 1 + 1 == 3", False),
        ("def f(:", False),
        ("import sys; sys.exit(0)", False),
        ("import os; os._exit(0)", False),
        ("x = '\ud800'", True),
        ("while True: pass", False),
        ("import time; time.sleep(60)", False),
        ("x = bytearray(10 * 2**30)", False),
        ("open('harm', 'wb').write(b'x' * 2**30)", False),
        ("import os; os.kill(os.getpid(), 11)\nimport ctypes; ctypes.string_at(0)", False),
        ("import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", False),
        ("import os\nassert not [name for name in os.environ if 'KEY' in name]", True),
        ("import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)", True),
        ("import os, time\nif not os.fork():\n    os.setsid()\n    os.fork()\n    time.sleep(1000)", True),
    ],
)
def test_a_program_passes_where_it_comes_to_its_end(
    program: str, passed: bool, isolated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret")
    limits = LIMITS if passed else Limits(seconds=2, memory_mb=512, processes=16, files_mb=8)
    start = time.monotonic()
    assert run(program, limits, isolated=isolated) == passed
    assert time.monotonic() - start < 30


def listening() -> socket.socket:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    return server


@ISOLATED
@pytest.mark.parametrize(
    "program",
    [
        # A fork bomb meets its limit.
        "import os, time\nn = 0\ntry:\n    while n < 100:\n        if not os.fork():\n            time.sleep(100)\n"
        "        n += 1\nexcept BlockingIOError:\n    pass\nassert 3 < n < 16",
        "import threading, time\nn = 0\ntry:\n    while n < 100:\n        threading.Thread(target=time.sleep, "
        "args=(100,), daemon=True).start()\n        n += 1\nexcept RuntimeError:\n    pass\nassert n < 16",
        # Nothing of this machine is there.
        "import os\nfor path in (TESTS, '/etc/passwd', '/proc/1', '/sys', '/var', '/run'):\n"
        "    assert not os.path.exists(path), path",
        "try:\n    open(HOME + '/harm', 'w')\n    assert False\nexcept OSError:\n    pass",
        "import sys\ntry:\n    open(sys.prefix + '/harm', 'w')\n    assert False\nexcept OSError:\n    pass",
        "import os\ntry:\n    os.remove(os.__file__)\n    assert False\nexcept OSError:\n    pass",
        # No network, not even that of this machine.
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', PORT), 1)\n    assert False\n"
        "except OSError:\n    pass",
        # No other process to kill: the parent has no number here.
        "import os\nassert os.getppid() == 0\ntry:\n    os.kill(PARENT, 9)\n    assert False\n"
        "except ProcessLookupError:\n    pass",
        # No more rights than it has.
        "import os\nassert os.getuid() == os.geteuid() != 0\ntry:\n    os.setuid(0)\n    assert False\n"
        "except OSError:\n    pass",
        "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) != 0",
        "import ctypes\nassert ctypes.CDLL(None).mount(b'none', b'/', b'tmpfs', 0, None) != 0",
        "import resource\ntry:\n    resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999))\n    assert False\n"
        "except (ValueError, OSError):\n    pass",
        # The folder in memory is full before memory is.
        "n = 0\ntry:\n    while n < 100:\n        open(f'{n}', 'wb').write(b'x' * 2**20)\n        n += 1\n"
        "except OSError:\n    pass\nassert n < 10",
        "import sys\nfor _ in range(1000):\n    sys.stdout.write('x' * 2**20)\n    sys.stderr.write('x' * 1000)",
        "import os\ntry:\n    os.kill(-1, 9)\nexcept ProcessLookupError:\n    pass\nos.kill(0, 9)",
    ],
)
def test_a_program_that_means_harm_is_contained(program: str) -> None:
    with listening() as server:
        known = {"HOME": str(Path.home()), "TESTS": __file__, "PORT": server.getsockname()[1], "PARENT": os.getpid()}
        head = "".join(f"{name} = {value!r}\n" for name, value in known.items())
        assert run(head + program, Limits(seconds=20, memory_mb=512, processes=16, files_mb=8))
        with pytest.raises(TimeoutError):
            server.accept()


@ISOLATED
def test_a_sandbox_ends_with_the_process_that_wanted_it() -> None:
    code = """
import os, threading, time
from ama_ray.processes.sandbox import Limits, run
program = "import time\\nmarker = 'program.py of a killed caller'\\ntime.sleep(1000)"
threading.Thread(target=run, args=(program, Limits(seconds=60))).start()
time.sleep(3)
print("started", flush=True)
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"started\n"
        below = psutil.Process(caller.pid).children(recursive=True)
        assert len(below) >= 2
        caller.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
