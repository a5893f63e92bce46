"""The log of a run: what it holds, for how long, and what it must never hold."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.storage.log import failure_to_log, log_to
from ama_ray.storage.mirror import Mirror
from ama_ray.storage.run_folder import held
from ama_ray.tuning.events import EventEmitter, StageStarted, StopRequested
from ama_ray.tuning.signals import Interrupted

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {
    "JUDGE_KEY": "judge-key-1",
    "RAY_AUTH_TOKEN": "ray-token-2",
    "HF_TOKEN": "hf_token-3",
    "PGPASSWORD": "database-4",
}
PASSWORD, DECODED = "pass%2Fword-5", "pass/word-5"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} (INFO|WARNING|ERROR) ")


def config_of(out: Path, **fields: Any) -> RunConfig:
    out.mkdir(exist_ok=True)
    return RunConfig.from_arguments(
        base="org/base",
        aligned="org/aligned",
        reward={
            "kind": "judge",
            "prompts": {"file": "p.jsonl"},
            "judge": {"model": "judge", "url": "http://127.0.0.1:9/v1", "api_key_env": "JUDGE_KEY"},
        },
        tax=[{"kind": "choice", "name": "arc", "family": "reasoning", "file": "arc.jsonl"}],
        out=out,
        **fields,
    )


def log_of(config: RunConfig) -> str:
    return (config.out / "log.txt").read_text(encoding="utf-8")


def test_lines_stages_and_warnings_are_there_with_time_and_level(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    seen: list[object] = []
    tell = EventEmitter(seen.append)
    with log_to(config):
        tell("pair of 5 MB, 100% of it")
        tell.send(StageStarted("starting Ray"))
        tell.send(StopRequested())
        logging.getLogger("ray.tune.execution").warning("a node is slow")
        logging.getLogger("ray.tune.execution").info("all is well")
        logging.getLogger("vllm.engine").warning("no %s", "flash attention")
        logging.getLogger("another.library").warning("not ours")
    lines = log_of(config).splitlines()
    assert all(LINE.match(line) for line in lines)
    told = [line.split(maxsplit=2)[2].split(maxsplit=1) for line in lines]
    assert [(level, text) for level, text in told[1:]] == [
        ("INFO", "pair of 5 MB, 100% of it"),
        ("INFO", "starting Ray"),
        ("WARNING", "a node is slow"),
        ("WARNING", "no flash attention"),
    ]
    assert len(seen) == 3


def test_a_run_that_is_gone_on_with_goes_on_with_its_log_and_others_are_not_in_it(tmp_path: Path) -> None:
    first, second = config_of(tmp_path / "first"), config_of(tmp_path / "second")
    before = logging.getLogger("ama_ray").level
    for line in ("one", "two"):
        with log_to(first):
            EventEmitter(None)(line)
    with log_to(second):
        EventEmitter(None)("three")
    EventEmitter(None)("four")
    assert [line.rsplit(maxsplit=1)[1] for line in log_of(first).splitlines()[1::2]] == ["one", "two"]
    assert "three" not in log_of(first)
    assert "four" not in log_of(second)
    assert logging.getLogger("ama_ray").level == before


def test_no_key_token_or_password_is_ever_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    config = config_of(tmp_path, mirror=f"s3://me:{PASSWORD}@bucket/run?scheme=http")
    (tmp_path / "run.yaml").touch()
    with pytest.raises(UserError), log_to(config), failure_to_log(config):
        for handler in logging.getLogger("ray").handlers:  # as `ray.init` does
            monkeypatch.setattr(handler, "formatter", logging.Formatter("%(message)s"))
        EventEmitter(None)(f"mirror: {config.mirror}")
        EventEmitter(None)("asked http://someone:else@host/?api_key=abc&model=m")
        EventEmitter(None)("postgresql://me:another-6@db.example.org:5432/studies")
        logging.getLogger("ray.x").warning("401 for Bearer %s and %s", KEYS["RAY_AUTH_TOKEN"], KEYS["HF_TOKEN"])
        try:
            raise RuntimeError(f"wrong key {KEYS['JUDGE_KEY']}\nfor {DECODED}, {KEYS['PGPASSWORD']}")
        except RuntimeError as error:
            raise UserError(f"{config.mirror}: away") from error
    text = log_of(config)
    assert all(LINE.match(line) for line in text.splitlines())
    for secret in (*KEYS.values(), PASSWORD, DECODED, "another-6", "else", "abc"):
        assert secret not in text
    for kept in ("wrong key ***", "s3://me:***@bucket/run?scheme=http", "://me:***@db.", "api_key=***&model=m"):
        assert kept in text


def test_the_token_in_rays_file_is_one_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("token-of-a-file\n")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    config = config_of(tmp_path / "run")
    with log_to(config):
        EventEmitter(None)("refused: token-of-a-file")
    assert "refused: ***" in log_of(config)


def test_a_failure_is_there_with_its_traceback_and_names_the_log(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    (tmp_path / "run.yaml").touch()
    with pytest.raises(ZeroDivisionError) as raised, log_to(config), failure_to_log(config):
        1 / 0  # noqa: B018
    assert raised.value.__notes__ == [f"The log of the run is {tmp_path / 'log.txt'}."]
    lines = log_of(config).splitlines()
    assert all(LINE.match(line) for line in lines)
    assert "the run failed" in lines[1]
    assert "Traceback" in lines[2]
    assert lines[-1].endswith("ZeroDivisionError: division by zero")


def test_what_ends_a_run_before_it_begins_says_all_by_itself(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(UserError) as raised, log_to(config), failure_to_log(config):
        raise UserError("base: there is no such folder.")
    assert not hasattr(raised.value, "__notes__")
    assert "base: there is no such folder." in log_of(config)
    with held(tmp_path):  # the folder is still one for a run
        pass


def test_a_signal_is_a_line_and_no_failure(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(Interrupted), log_to(config), failure_to_log(config):
        raise Interrupted(15)
    assert log_of(config).splitlines()[-1].endswith("WARNING ended by SIGTERM")


def test_a_full_disk_ends_the_log_and_not_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_of(tmp_path)
    (tmp_path / "log.txt").symlink_to("/dev/full")
    with log_to(config):
        EventEmitter(None)("a line that finds no room")
    assert capsys.readouterr() == ("", "")


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "log.txt").mkdir()
    with pytest.raises(UserError, match=r"log\.txt: cannot be written"), log_to(config_of(tmp_path)):
        pass


def test_a_run_from_the_mirror_brings_its_log_which_goes_on(tmp_path: Path) -> None:
    old, new = config_of(tmp_path / "old"), config_of(tmp_path / "new")
    (old.out / "identity.json").write_text('{"format": "1", "study": "mine"}')
    with log_to(old):
        EventEmitter(None)("what the lost machine said")
    Mirror(f"file://{tmp_path}/bucket", old.out).push()
    with log_to(new):
        assert Mirror(f"file://{tmp_path}/bucket", new.out).pull()
        EventEmitter(None)("what came after")
    said = [line.split("INFO")[1].strip() for line in log_of(new).splitlines()]
    assert said[1:] == ["what the lost machine said", "what came after"]
