"""Replicas of a reward model, as trials in other processes ask them."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from ama_ray.config import EngineSettings
from ama_ray.errors import UserError
from ama_ray.evaluation.evaluation import SPLITS, Evaluation
from ama_ray.rewards.base import PreparedReward, ScorerError
from ama_ray.rewards.model import ModelScores
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.cluster.reward_pool import Pool, reward_pools
from testing.checkpoints import edit_weights
from tests.support.classifiers import make_classifier, score
from tests.support.replies import said
from tests.support.rewards import prepare

pytestmark = pytest.mark.engine

ROWS = [{"prompt": f"w{i} w{i + 1}"} for i in range(10, 20)]
REPLIES = [[" ".join(f"w{j}" for j in range(30, 31 + i)), f"w{i + 50}"] for i in range(10)]
POOL: dict[str, Any] = {"replicas": 2, "cpus": 0.5, "backend": "transformers", "dtype": "float32"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with ray_cluster():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_classifier(tmp_path_factory.mktemp("reward") / "model", template=None)


def evaluations(tmp_path: Path, folder: Path, **fields: Any) -> dict[str, Evaluation]:
    rewards = prepare(
        tmp_path, kind="model", model=str(folder), rows=ROWS, sampling={"n": 2, "max_tokens": 8}, **(POOL | fields)
    )
    return {split: Evaluation((reward,), (), (), {}) for split, reward in zip(SPLITS, rewards, strict=True)}


def asked(reward: PreparedReward, replies: list[list[str]]) -> Any:
    """The scores, as a process of a trial gets them."""

    def ask() -> Any:
        return reward.score(said(replies)).scores.tolist()

    return ray.get(ray.remote(num_cpus=0)(ask).remote())


def test_trials_share_replicas_that_end_with_the_run(cluster: None, tmp_path: Path, folder: Path) -> None:
    before = evaluations(tmp_path, folder)
    with reward_pools(before, EngineSettings(cpus=1)) as after:
        (search,), (report,) = after["search"].rewards, after["report"].rewards
        assert isinstance(search, ModelScores)
        assert isinstance(report, ModelScores)
        assert isinstance(search.classifier, Pool)
        assert report.classifier is search.classifier
        expected = score(
            folder,
            [row["prompt"] + reply for row, two in zip(ROWS, REPLIES, strict=True) for reply in two],
            special=True,
        )
        assert [each for two in asked(search, REPLIES) for each in two] == pytest.approx(expected, abs=1e-4)
        assert asked(report, [["w5"]]) == [[pytest.approx(score(folder, ["laterw5"], special=True)[0], abs=1e-4)]]
    with pytest.raises(ScorerError, match=r"the reward model .*/model: a replica failed \(ActorDiedError"):
        search.score(said(REPLIES))
    assert before["search"].rewards[0] != search


def test_a_reward_beside_the_engine_is_left_alone(cluster: None, tmp_path: Path, folder: Path) -> None:
    before = evaluations(tmp_path, folder, replicas=0)
    with reward_pools(before, EngineSettings(cpus=1)) as after:
        assert after == before


def test_a_replica_that_dies_fails_its_trials_and_comes_back(cluster: None, tmp_path: Path, folder: Path) -> None:
    with reward_pools(evaluations(tmp_path, folder), EngineSettings(cpus=1)) as after:
        (search,) = after["search"].rewards
        expected = search.score(said(REPLIES)).scores
        ray.kill(search.classifier.replicas[1], no_restart=False)  # type: ignore[attr-defined]
        with pytest.raises(ScorerError, match=r"a replica failed"):
            for _ in range(100):
                search.score(said(REPLIES))
        for _ in range(100):
            with contextlib.suppress(ScorerError):
                assert search.score(said(REPLIES)).scores == pytest.approx(expected)
                return
            time.sleep(0.5)
    raise AssertionError("the replica did not come back")


def test_a_model_that_does_not_start_is_named(cluster: None, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "model")
    edit_weights(folder, lambda tensors: tensors.pop("model.norm.weight"))
    words = r"^reward.model: .*/model does not start: .*lacks model.norm.weight"
    pools = reward_pools(evaluations(tmp_path, folder), EngineSettings(cpus=1))
    with pytest.raises(UserError, match=words) as caught, pools:
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fields", [{"replicas": 2000}, {"gpus": 100}, {"cpus": 10_000}])
def test_replicas_without_room_are_refused(cluster: None, tmp_path: Path, folder: Path, fields: dict[str, Any]) -> None:
    pools = reward_pools(evaluations(tmp_path, folder, **fields), EngineSettings(cpus=1))
    with pytest.raises(UserError, match=r"no room for \d+ replicas of reward models beside an engine"), pools:
        pass
