import subprocess
import sys
from pathlib import Path

import pytest
from ray import cloudpickle

from ama_ray.errors import UserError
from ama_ray.rewards.base import PreparedReward
from ama_ray.tuning.cluster.pickling import scorers_by_value
from tests.support.rewards import prepare


def reward(folder: Path, body: str) -> PreparedReward:
    folder.mkdir()
    (folder / "reward.py").write_text(body)
    return prepare(folder, kind="function", scorer=f"{folder}/reward.py:score")[0]


def test_scorers_arrive_where_their_files_are_not(tmp_path: Path) -> None:
    rewards = [
        reward(tmp_path / name, f"VALUE = {value}\ndef score(rows, replies): return [VALUE for _ in replies]\n")
        for name, value in (("one", 1.0), ("two", 2.0))
    ]
    with scorers_by_value(rewards):
        (tmp_path / "sent").write_bytes(cloudpickle.dumps(rewards))
    for name in ("one", "two"):
        (tmp_path / name / "reward.py").unlink()
    code = """
import pickle, sys
from ama_ray import Reply
with open(sys.argv[1], "rb") as file:
    print([reward.score([[Reply("x")], [Reply("y")]]).scores.tolist() for reward in pickle.load(file)])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "sent")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[[[1.0], [1.0]], [[2.0], [2.0]]]"


def test_a_module_that_cannot_travel_is_named(tmp_path: Path) -> None:
    body = "import threading\nLOCK = threading.Lock()\ndef score(rows, replies):\n    with LOCK:\n"
    locked = reward(tmp_path / "lock", body + "        return [1.0] * len(replies)\n")
    words = r"reward.scorer: .*reward.py cannot be sent to the trials \(.*lock"
    with pytest.raises(UserError, match=words), scorers_by_value([locked]):
        pass


def test_rewards_without_functions_need_nothing() -> None:
    with scorers_by_value([]):
        pass
