"""The process that makes a sandbox with Linux's namespaces, runs one program in it, and ends with it.

Nothing of the sandbox outlives its first process, which the kernel sees to. See namespaces(7), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ama_ray.processes.worker_main import end_children

if TYPE_CHECKING:
    from collections.abc import Mapping

_libc = ctypes.CDLL(None, use_errno=True)
_NEW = 0x10000000 | 0x20000000 | 0x00020000 | 0x40000000 | 0x08000000 | 0x04000000
"""Namespaces of users, processes, mounts, network, System V messages, and names of the host."""
_BIND, _RECURSIVE, _PRIVATE, _REMOUNT, _READ_ONLY = 0x1000, 0x4000, 0x40000, 0x20, 0x1
_DETACH = 2
_NO_NEW_PRIVILEGES, _PARENT_DEATH_SIGNAL, _SUBREAPER = 38, 1, 36
_USER = 1000
"""The program's user inside."""
_NOBODY = 65534
"""The user that this is outside, where this process is root, whose number of processes the kernel does not limit."""
_ROOT = "/tmp"
"""Where the new root is made; only this process's own namespace sees it."""
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_HARNESS = """\
import os
token = os.read(4, 64)
os.close(4)
with open("program.py", encoding="utf-8") as file:
    source = file.read()
exec(compile(source, "program.py", "exec"), {"__name__": "__main__"})
os.write(3, token)
"""
"""It tells that the program came to its end, by a word that the program's text does not have."""


def main() -> None:
    """Reads a request, and answers it: `passed`, or `trouble` where the sandbox cannot be made."""
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer: dict[str, Any] = {"passed": _run(request)}
    except OSError as error:
        answer = {"trouble": str(error)}
    sys.stdout.write(json.dumps(answer))


def _run(request: Mapping[str, Any]) -> bool:
    token = os.urandom(16)
    to_us, from_us, trouble = os.pipe(), os.pipe(), os.pipe()
    os.write(from_us[1], token)
    os.close(from_us[1])
    if request["isolated"]:
        _leave()
    else:
        _libc.prctl(_SUBREAPER, 1)
    # The program's new root is also this process's, so only without one the folder is on a disk.
    with nullcontext("") if request["isolated"] else tempfile.TemporaryDirectory() as folder:
        program = os.fork()
        if not program:
            try:
                _start(request, folder, to_us[1], from_us[0])
            except BaseException as error:
                os.write(trouble[1], str(error).encode())
            os._exit(1)
        for end in (to_us[1], trouble[1]):
            os.close(end)
        poll = select.poll()
        poll.register(os.pidfd_open(program), select.POLLIN)
        poll.register(1, 0)  # which has an error when nobody is there any more to read the answer
        poll.poll(request["seconds"] * 1000)
        os.kill(program, signal.SIGKILL)
        os.waitpid(program, 0)
        if not request["isolated"]:
            end_children()
        if told := os.read(trouble[0], 1000):
            raise OSError(told.decode(errors="replace"))
        return os.read(to_us[0], 64).startswith(token)


def _leave() -> None:
    """Moves this process into namespaces of its own; its next child is their first process."""
    with suppress(PermissionError):  # who is not root, or root of a container, has no groups to leave
        os.setgroups([])
    us, uid, gid = os.getpid(), os.geteuid(), os.getegid()
    left, tell = os.pipe()
    helper = os.fork()
    if not helper:
        os.close(tell)
        os.read(left, 1)
        os._exit(_map(us, uid, gid))
    _check(_libc.unshare(_NEW), "unshare")
    os.close(tell)
    _, status = os.waitpid(helper, 0)
    if status:
        raise OSError("this user may not map users into a namespace")


def _map(process: int, uid: int, gid: int) -> int:
    """Says who the users of a process's new namespace are, which one outside of it has to do; returns an exit code."""
    folder = Path(f"/proc/{process}")
    try:
        (folder / "setgroups").write_text("deny")
        for name, own in (("uid_map", uid), ("gid_map", gid)):
            try:
                (folder / name).write_text(f"0 {own} 1\n{_USER} {_NOBODY} 1\n")
            except OSError:  # who is not root can only be one user there
                (folder / name).write_text(f"{_USER} {own} 1\n")
    except OSError:
        return 1
    return 0


def _start(request: Mapping[str, Any], folder: str, result: int, token: int) -> NoReturn:
    """Becomes the program."""
    with suppress(OSError):  # where memory is short, this goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    if request["isolated"]:
        folder = _new_root(request["files_mb"])
    os.setsid()
    os.chdir(folder)
    Path("program.py").write_text(request["program"], encoding="utf-8", errors="replace")
    _limit(request)
    if request["isolated"] and os.geteuid() == 0:
        os.setresgid(_USER, _USER, _USER)
        os.setresuid(_USER, _USER, _USER)
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    result, token = os.dup(result), os.dup(token)  # out of the way of the numbers that they get
    nothing = os.open("/dev/null", os.O_RDWR)
    for number, file in enumerate((nothing, nothing, nothing, result, token)):
        os.dup2(file, number)
    os.closerange(5, 1024)
    environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    os.execve(sys.executable, [sys.executable, "-I", "-c", _HARNESS], environment)


def _limit(request: Mapping[str, Any]) -> None:
    memory, files = request["memory_mb"] * 2**20, request["files_mb"] * 2**20
    limits = [
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, int(request["seconds"]) + 1),
        (resource.RLIMIT_FSIZE, files),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ]
    if request["isolated"]:  # elsewhere all that this user has would count
        limits.append((resource.RLIMIT_NPROC, request["processes"]))
    for kind, most in limits:
        resource.setrlimit(kind, (most, most))


def _new_root(files_mb: int) -> str:
    """Leaves all files behind but those of Python, which can only be read, and an empty folder.

    Returns:
        The folder.
    """
    shown = dict.fromkeys([*_SYSTEM, *_DEVICES, *map(os.path.realpath, (sys.base_prefix, sys.prefix)), sys.prefix])
    # They are held open, as the new root may be put over one.
    opened = {path: os.open(path, os.O_PATH) for path in shown if Path(path).exists() and not Path(path).is_symlink()}
    links = {path: Path(path).readlink() for path in shown if Path(path).is_symlink()}
    with suppress(OSError):  # no namespace inside of this one
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _mount("none", "/", "", _RECURSIVE | _PRIVATE)
    _mount("tmpfs", _ROOT, "tmpfs", 0, f"size={files_mb}m,nr_inodes=4096,mode=755")
    root = Path(_ROOT)
    for path, file in opened.items():
        place = root / path.lstrip("/")
        if Path(path).is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        _mount(f"/proc/self/fd/{file}", str(place), "", _BIND | _RECURSIVE)
        if path not in _DEVICES:
            _mount("none", str(place), "", _BIND | _REMOUNT | _READ_ONLY | _kept_flags(place))
        os.close(file)
    for path, target in links.items():
        (root / path.lstrip("/")).symlink_to(target)
    for name in ("old", "tmp", "sandbox"):
        (root / name).mkdir(exist_ok=True)
        (root / name).chmod(0o777)
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"old"), "pivot_root")
    os.chdir("/")
    _check(_libc.umount2(b"/old", _DETACH), "umount")
    Path("/old").rmdir()
    return "/sandbox"


def _kept_flags(place: Path) -> int:
    """Flags of a mount that a namespace may not take away: no set-user-id, devices, programs, times of access."""
    return os.statvfs(place).f_flag & (2 | 4 | 8 | 1024 | 2048)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    found = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(found, f"mount {target}")


def _check(found: int, what: str) -> None:
    if found:
        error = ctypes.get_errno()
        raise OSError(f"{what}: {os.strerror(error)}")


if __name__ == "__main__":
    main()
