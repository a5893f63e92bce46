import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import ama_ray
from ama_ray.analysis.trade_test import expected
from ama_ray.config import RunConfig
from ama_ray.processes import sandbox
from testing.checkpoints import make_pair
from tests.support.command import Command
from tests.support.judge_server import serving
from tests.support.runs import OBJECTIVES
from tests.support.wrappers import make_wrapper_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def write_run(tmp_path: Path, pair: tuple[Path, Path]) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        prompts = [json.dumps({"prompt": f"w5 w{number}"}) for number in range(10, 20)]
        facts = [json.dumps({"prompt": f"w{n}", "choices": ["w8", "w9"], "gold": 0}) for n in range(10, 20)]
        (tmp_path / "prompts.jsonl").write_text("\n".join(prompts))
        (tmp_path / "facts.jsonl").write_text("\n".join(facts))
        (tmp_path / "reward.py").write_text("def score(rows, replies):\n    return [0.0] * len(replies)\n")
        fields: dict[str, Any] = {
            "base": str(pair[0]),
            "aligned": str(pair[1]),
            "reward": {"kind": "function", "prompts": {"file": "prompts.jsonl"}, "scorer": "reward.py:score"},
            "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "facts.jsonl"}],
            "out": "out",
        }
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(fields | changes))
        return tmp_path / "run.yaml"

    return write


def test_check_says_what_is_in_order(write_run: Callable[..., Path], run: Command) -> None:
    ended = run("check", write_run())
    assert ended.code == 0
    assert "6 groups (embed, layer-0, layer-1, layer-2, layer-3, head)" in ended.out


def test_check_prints_json(write_run: Callable[..., Path], run: Command) -> None:
    file = write_run()
    shown = json.loads(run("check", file, "--json").out)
    assert (shown["run"], shown["warnings"]) == (str(file), [])
    assert shown["groups"] == ["embed", "layer-0", "layer-1", "layer-2", "layer-3", "head"]
    assert set(shown["items"]) == {"reward", "tax", "facts"}
    assert any(line.startswith("trials: 40 of the search") for line in shown["estimate"])


def test_check_says_whether_the_pair_fits_on_a_cluster(
    write_run: Callable[..., Path], run: Command, tmp_path: Path
) -> None:
    cluster = tmp_path / "cluster.yaml"
    node = {"resources": {"CPU": 16, "GPU": 1, "accelerator_type:L4": 1}, "node_config": {}, "max_workers": 2}
    cluster.write_text(yaml.safe_dump({"available_node_types": {"small": node}}))
    ended = run("check", write_run(), "--cluster", cluster)
    said = " ".join(ended.out.split())
    assert ended.code == 0
    assert "small (1 x L4): fits, with both endpoints on the GPU; estimated by arithmetic: a trial of" in said
    cluster.write_text(yaml.safe_dump({"available_node_types": {"small": node | {"max_workers": 0}}}))
    ended = run("check", write_run(), "--cluster", cluster)
    assert ended.code == 2
    assert "fits on none of the nodes that may start" in ended.err


def test_check_says_what_of_a_model_of_text_and_images_is_not_searched(
    write_run: Callable[..., Path], run: Command, tmp_path: Path
) -> None:
    base, aligned = make_wrapper_pair(tmp_path / "wrappers", "qwen3_vl")
    ended = run("check", write_run(base=str(base), aligned=str(aligned), towers="base"))
    assert ended.code == 0
    assert "5 groups (embed, layer-0, layer-1, layer-2, head)" in ended.out
    assert "images or sound, which is not searched: a merge has base's." in " ".join((ended.out + ended.err).split())


def test_check_says_what_so_few_items_can_show(write_run: Callable[..., Path], run: Command) -> None:
    out, _, below = run("check", write_run()).out.partition("What it takes")
    cells = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith((" reward", " facts"))}
    prompts, items = int(cells["reward"][0]), int(cells["facts"][0])
    # What a hash has left of ten on the search split.
    assert 0 < prompts < 10
    assert 0 < items < 10
    smallest = expected(OBJECTIVES, {"reward": prompts, "arc": items})["arc"].smallest
    assert cells["facts"][1] == f"{smallest:.2g}"
    asked = [line.split() for line in below.splitlines() if line.startswith(" tax")]
    assert [line[1] for line in asked] == ["0.01", "0.02", "0.05"]
    # Four times as few find twice as much, and cost as much less.
    assert float(asked[0][2].replace(",", "")) == pytest.approx(4 * float(asked[1][2].replace(",", "")), rel=0.1)
    assert all(int(line[4].replace(",", "")) > 0 for line in asked)


@pytest.mark.skipif(bool(sandbox.trouble()), reason=f"no sandbox on this machine: {sandbox.trouble()}")
def test_check_tries_judges_and_says_what_isolates_programs(
    write_run: Callable[..., Path], run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tasks = [json.dumps({"prompt": f"w{n}", "test": "assert True"}) for n in range(10, 20)]
    (tmp_path / "tasks.jsonl").write_text("\n".join(tasks))
    code = {"name": "tasks", "family": "code", "kind": "code", "file": "tasks.jsonl", "timeout": 7}
    with serving(lambda question: '{"score": 7}') as server:
        judge = {"kind": "judge", "prompts": {"file": "prompts.jsonl"}, "judge": {"url": server.url, "model": "judge"}}
        ended = run("check", write_run(reward=judge, tax=[code]))
    assert ended.code == 0
    told = " ".join(ended.out.split())
    assert re.search(r"the judge judge at \S+, asked twice about (\d) replies: the same verdict on \1, 0 apart", told)
    assert "Linux namespaces of its own (users, processes, files, network), with 7 s," in told


BAD_RUNS: list[tuple[dict[str, Any], str]] = [
    ({"base": "./nowhere"}, "nowhere"),
    ({"space": "per-leyer"}, "per-leyer"),
    ({"space": {"groups": [{"name": "a", "tensors": ["*mlp*"]}]}}, "embed_tokens"),
    ({"trials": 2}, "trials"),
    ({"seed": 2**32}, "seed"),
    ({"reward": {"kind": "function", "prompts": {"file": "none.jsonl"}, "scorer": "reward.py:score"}}, "none.jsonl"),
    (
        {
            "reward": {
                "kind": "function",
                "prompts": {"file": "prompts.jsonl", "field": "text"},
                "scorer": "reward.py:score",
            }
        },
        "'text'",
    ),
    ({"reward": {"kind": "function", "prompts": {"file": "prompts.jsonl"}, "scorer": "reward.py:other"}}, "other"),
    ({"tax": [{"name": "f", "family": "k", "kind": "exact", "file": "facts.jsonl"}]}, "'answer'"),
    ({"tax": [{"name": "f", "family": "k", "kind": "ranking", "file": "facts.jsonl"}]}, "tax.0"),
]


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.init", lambda *args, **kwargs: pytest.fail("Ray was started"))


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(("changes", "words"), BAD_RUNS)
@pytest.mark.parametrize("command", ["search", "check"])
def test_bad_input_is_one_sentence_and_exit_code_2_before_ray_starts(
    command: str, changes: dict[str, Any], words: str, write_run: Callable[..., Path], run: Command
) -> None:
    ended = run(command, write_run(**changes))
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert words in ended.err


@pytest.mark.usefixtures("no_ray")
def test_a_folder_with_something_in_it_is_never_written_over(
    write_run: Callable[..., Path], tmp_path: Path, run: Command
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trials.csv").write_text("precious")
    ended = run("search", write_run())
    assert ended.code == 2
    assert "not empty" in ended.err
    assert (tmp_path / "out" / "trials.csv").read_text() == "precious"


@pytest.mark.usefixtures("no_ray")
def test_a_file_where_the_run_should_go_is_named(write_run: Callable[..., Path], tmp_path: Path, run: Command) -> None:
    (tmp_path / "file").write_text("")
    ended = run("search", write_run(out="file"))
    assert ended.code == 2
    assert "file: cannot be the folder of a run" in ended.err


def test_show_and_export_name_what_is_missing(tmp_path: Path, run: Command) -> None:
    for arguments in (["show", tmp_path], ["export", tmp_path, "--point", "3", "-o", tmp_path / "m"]):
        ended = run(*arguments)
        assert ended.code == 2
        assert str(tmp_path) in ended.err


def test_table_asks_for_bounds_that_can_be_read_and_names_what_is_missing(tmp_path: Path, run: Command) -> None:
    ended = run("table", tmp_path)
    assert ended.code == 2
    assert "no run.yaml" in ended.err
    for bound in ("high", "helpful=", "helpful"):
        ended = run("table", tmp_path, "--min-reward", bound, "--min-reward", "safe=1")
        assert ended.code == 2
        assert f"--min-reward {bound} safe=1: give a number, or NAME=NUMBER" in ended.err


def test_search_from_python_takes_keyword_arguments_and_names_what_is_missing() -> None:
    with pytest.raises(ama_ray.UserError, match=r"search\(\): there are \d mistakes\.\n.*this field is missing"):
        ama_ray.search(base="a", aligned="b")


LIGHT = (
    *("ama_ray", "ama_ray.scores.trial", "ama_ray.config", "ama_ray.space.search_space", "ama_ray.run"),
    *("ama_ray.cli", "ama_ray.cli.output", "ama_ray.live"),
)
HEAVY = ("torch", "ray", "vllm", "transformers", "pandas", "matplotlib", "optuna")


def test_importing_pulls_in_nothing_heavy() -> None:
    code = (
        "import importlib, json, sys\n"
        f"def heavy(module): importlib.import_module(module); return [n for n in {HEAVY!r} if n in sys.modules]\n"
        f"print(json.dumps({{module: heavy(module) for module in {LIGHT!r}}}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == {module: [] for module in LIGHT}


def test_every_shipped_run_file_is_valid() -> None:
    root = Path(ama_ray.__file__).parent
    files = sorted(root.rglob("run*.yaml"))
    assert files
    for file in files:
        RunConfig.load(file)
