"""What functions of users do to their process, each scored right, or with one reason and a new process afterwards."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ama_ray.processes.worker import CallError, Function, LateError, call, end_workers

SECONDS = 60.0
"""That a call may take which is to return."""


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    end_workers()
    left = [process.cmdline() for process in psutil.Process().children(recursive=True)]
    assert not [command for command in left if "ama_ray.processes.worker_main" in command]


def function(folder: Path, body: str, name: str = "reward.py") -> Function:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    source = f"import os, signal, subprocess, sys, threading, time\ndef score(texts):\n{lines}\n"
    return Function(f"{folder / name}:score", source)


LENGTHS = "return [len(text) for text in texts]"
RIGHT = {
    "does nothing else": LENGTHS,
    "numpy": "import numpy as np\nreturn np.array([len(text) for text in texts], dtype=np.float32)",
    "a generator": "return (len(text) for text in texts)",
    "an alarm": f"""
def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 5)
try:
    {LENGTHS}
except BaseException:
    return [0] * len(texts)
finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
""",
    "an alarm that fires": f"""
def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    while True: pass
except TimeoutError:
    {LENGTHS}
""",
    "the main thread is asked for": "assert threading.current_thread() is threading.main_thread()\n" + LENGTHS,
    "no other thread": "assert threading.active_count() == 1\n" + LENGTHS,
    "100 threads": """
lengths = {}
threads = [threading.Thread(target=lambda i=i: lengths.update({i: len(texts[i % len(texts)])})) for i in range(100)]
for thread in threads: thread.start()
for thread in threads: thread.join()
return [lengths[i] for i in range(len(texts))]
""",
    "threads that stay": f"[threading.Thread(target=time.sleep, args=(1000,)).start() for _ in range(9)]\n{LENGTHS}",
    "a fork": f"""
if not (child := os.fork()): os._exit(0)
os.waitpid(child, 0)
{LENGTHS}
""",
    "a fork that runs on": f"os.fork()\n{LENGTHS}",
    "a pool of processes": "import multiprocessing\nreturn multiprocessing.Pool(2).map(len, texts)",
    "a command": "return [int(subprocess.check_output(['expr', 'length', text])) for text in texts]",
    "a daemon": f"subprocess.Popen(['sleep', '1000'], start_new_session=True)\n{LENGTHS}",
    "asyncio": """
import asyncio
async def length(text):
    await asyncio.sleep(0)
    return len(text)
async def all_lengths(): return await asyncio.gather(*map(length, texts))
return asyncio.run(all_lengths())
""",
    "another folder": f"os.chdir('/')\n{LENGTHS}",
    "another environment": f"os.environ.clear()\n{LENGTHS}",
    "megabytes of output": f"print('x' * 5_000_000)\nos.write(2, b'x' * 1_000_000)\n{LENGTHS}",
    "no output": f"if sys.stdout: os.close(1)\nsys.stdout = None\n{LENGTHS}",
    "standard input": f"assert sys.stdin.read() == ''\n{LENGTHS}",
    "kills its parent": f"os.kill(os.getppid(), 9)\n{LENGTHS}",
    "a session of its own": f"os.fork() or os.setsid()\n{LENGTHS}",
    "changes what it was given": "lengths = [len(text) for text in texts]\ntexts.clear()\nreturn lengths",
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_function_that_works_as_a_plain_script_is_scored(tmp_path: Path, kind: str) -> None:
    scorer = function(tmp_path, RIGHT[kind])
    for texts in (["a", "bbb"], ["cc"]):
        assert call(scorer, texts, timeout=SECONDS) == [float(len(text)) for text in texts]


WRONG = {
    "sys.exit": ("sys.exit('enough')", r"^called sys.exit\('enough'\)$"),
    "os._exit": ("os._exit(3)", "^ended its process with exit code 3$"),
    "os._exit with a high code": ("os._exit(250)", "^ended its process with exit code 250$"),
    "kills itself": (
        "os.kill(os.getpid(), 9)",
        r"^lost its process, .*killed \(SIGKILL\), perhaps for lack of memory$",
    ),
    "kills its group": ("os.killpg(0, 15); time.sleep(99)", r"^lost its process, which was killed \(SIGTERM\)$"),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)", r"killed \(SIGSEGV\)$"),
    "an alarm without a handler": ("signal.setitimer(signal.ITIMER_REAL, 0.01); time.sleep(9)", r"killed \(SIGALRM\)$"),
    "closes all files": ("os.closerange(3, 1000)", "^ended its process with exit code 1$"),
    "Ctrl+C": ("raise KeyboardInterrupt", "^raised KeyboardInterrupt: $"),
    "endless recursion": ("return score(texts)", "^raised RecursionError: maximum recursion depth"),
    "too much memory": ("return bytearray(2**60)", "^raised MemoryError: $"),
    "an error of several lines": ("raise ValueError('one\\n  two')", "^raised ValueError: one two$"),
    "something else": ("return 'ab'", "^must return a list of numbers, not 'ab'$"),
    "nothing": ("pass", "^must return a list of numbers, not None$"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_function_that_does_not_costs_one_call(tmp_path: Path, kind: str) -> None:
    body, words = WRONG[kind]
    scorer = function(tmp_path, f"if texts == ['bad']:\n    {body}\nelse:\n    {LENGTHS}")
    assert call(scorer, ["good"], timeout=SECONDS) == [4]
    with pytest.raises(CallError, match=words) as caught:
        call(scorer, ["bad"], timeout=SECONDS)
    assert "\n" not in str(caught.value)
    assert call(scorer, ["well"], timeout=SECONDS) == [4]


@pytest.mark.parametrize(
    "body", ["time.sleep(1000)", "signal.pthread_sigmask(0, range(1, 65)); time.sleep(1000)", "9**9**9"]
)
def test_a_function_that_hangs_is_ended(tmp_path: Path, body: str) -> None:
    scorer = function(tmp_path, f"if texts == ['bad']: {body}\n{LENGTHS}")
    assert call(scorer, ["good"], timeout=SECONDS) == [4]
    start = time.monotonic()
    with pytest.raises(LateError, match=r"^did not return within 0.3 s$"):
        call(scorer, ["bad"], timeout=0.3)
    assert time.monotonic() - start < 5
    assert call(scorer, ["well"], timeout=SECONDS) == [4]


def test_what_a_function_keeps_stays_until_its_process_ends(tmp_path: Path) -> None:
    counting = function(tmp_path, "global calls\ncalls += 1\nreturn [calls]")
    scorer = Function(counting.address, f"{counting.source}calls = 0")
    assert [call(scorer, [], timeout=SECONDS) for _ in range(3)] == [[1], [2], [3]]
    end_workers()
    assert call(scorer, [], timeout=SECONDS) == [1]


def test_all_that_a_function_started_ends_with_it(tmp_path: Path) -> None:
    body = """
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    time.sleep(1000)
return [os.getpid(), subprocess.Popen(['sleep', '1000'], start_new_session=True).pid]
"""
    started = call(function(tmp_path, body), [], timeout=SECONDS)
    guard = psutil.Process(int(started[0])).parent()
    assert guard is not None
    below = guard.children(recursive=True)
    assert len(below) >= 3
    end_workers()
    _, alive = psutil.wait_procs([guard, *below], timeout=5)
    assert not alive


def test_a_worker_ends_with_the_process_that_called_it(tmp_path: Path) -> None:
    code = f"""
import os, threading, time
from ama_ray.processes.worker import Function, call
source = "import os, time\\ndef score(hang):\\n    if hang: time.sleep(1000)\\n    return [os.getpid()]"
scorer = Function({str(tmp_path / "reward.py:score")!r}, source)
print(int(call(scorer, False, timeout=60)[0]), flush=True)
threading.Thread(target=call, args=(scorer, True), kwargs={{"timeout": 60}}).start()
time.sleep(0.3)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -9, done.stderr
    until = time.monotonic() + 5
    while psutil.pid_exists(int(done.stdout)):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_lies_beside_the_file_can_be_imported_and_equal_names_stay_apart(tmp_path: Path) -> None:
    for name, value in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"VALUE = {value}\n")
    scorers = [function(tmp_path / name, "import helper\nreturn [helper.VALUE]") for name in ("one", "two")]
    assert [call(scorer, [], timeout=SECONDS) for scorer in scorers] == [[1], [2]]


def test_calls_from_several_threads_wait_for_each_other(tmp_path: Path) -> None:
    scorer = function(tmp_path, "time.sleep(0.05)\nreturn [len(text) for text in texts]")
    results: dict[int, list[float]] = {}

    def ask(i: int) -> None:
        results[i] = call(scorer, ["x" * i], timeout=SECONDS)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: [i] for i in range(6)}


def test_a_caller_keeps_its_output_and_its_working_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = Path.cwd()
    call(function(tmp_path, "print('hello')\nos.chdir('/')\nreturn []"), [], timeout=SECONDS)
    end_workers()
    assert (Path.cwd(), capfd.readouterr().out) == (before, "")
