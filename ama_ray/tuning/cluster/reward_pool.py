"""Reward models as replicas that all trials of a run share: Ray actors with resources of their own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ray

from ama_ray.engine.classifier.classifier import ClassifierError, load
from ama_ray.errors import UserError, one_line
from ama_ray.rewards.model import ModelReward, ModelScores
from ama_ray.tuning.cluster.slots import engine_resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ama_ray.config import EngineSettings
    from ama_ray.engine.classifier.classifier import ClassifierSettings
    from ama_ray.evaluation.evaluation import Evaluation

_Demand = tuple["ClassifierSettings", int, float, float]
"""What rewards that share replicas have in common: the model, how many replicas, and the CPUs and GPUs of each."""


class Replica:
    """One replica: a reward model alone in a Ray process."""

    def __init__(self, settings: ClassifierSettings) -> None:
        self._classifier = load(settings)

    def start(self) -> None:
        """Returns once the reward model is loaded."""

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        """See `ama_ray.engine.classifier.classifier.Classifier`."""
        return self._classifier.scores(tokens)


@dataclass(frozen=True)
class Pool:
    """A `Classifier` that divides every batch among its replicas. Trials send it along as it is."""

    replicas: tuple[Any, ...]

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        """See `ama_ray.engine.classifier.classifier.Classifier`."""
        count = len(self.replicas)
        # By length, in turn, so that every replica has as much to do as the others.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        shares = [share for start in range(count) if (share := order[start::count])]
        try:
            answers = ray.get(
                [
                    replica.scores.remote([tokens[i] for i in share])
                    for replica, share in zip(self.replicas, shares, strict=False)
                ]
            )
        except ray.exceptions.RayError as error:
            raise ClassifierError(f"a replica failed ({one_line(error)})") from error
        score_of = {
            i: score
            for share, scores in zip(shares, answers, strict=True)
            for i, score in zip(share, scores, strict=True)
        }
        return [score_of[i] for i in range(len(tokens))]


@contextmanager
def reward_pools(evaluations: Mapping[str, Evaluation], engine: EngineSettings) -> Iterator[dict[str, Evaluation]]:
    """Starts the replicas that the rewards of a run ask for, loaded; they end with the context.

    Args:
        evaluations: The evaluations of the run, by split and by part.
        engine: The settings of an engine, which must find room beside the replicas.

    Returns:
        The evaluations, whose rewards ask the replicas. Those with `replicas: 0` are as they were.

    Raises:
        UserError: A reward model does not start, or the cluster has no room for all replicas and an engine.
    """
    rewards = [reward for evaluation in evaluations.values() for reward in evaluation.rewards]
    demands = {_demand(reward): reward.settings for reward in rewards if isinstance(reward, ModelScores)}
    demands = {demand: settings for demand, settings in demands.items() if settings.replicas}
    if demands:
        _check_room(demands, engine)
    pools = {demand: _start(*demand) for demand in demands}
    try:
        for demand, settings in demands.items():
            _wait(pools[demand], settings)
        yield {
            split: replace(evaluation, rewards=tuple(_with_pool(reward, pools) for reward in evaluation.rewards))
            for split, evaluation in evaluations.items()
        }
    finally:
        for pool in pools.values():
            for replica in pool.replicas:
                ray.kill(replica)


def _demand(reward: ModelScores) -> _Demand:
    settings = reward.settings
    return reward.model.settings, settings.replicas, settings.cpus, settings.gpus


def _with_pool(reward: Any, pools: Mapping[_Demand, Pool]) -> Any:
    pool = pools.get(_demand(reward)) if isinstance(reward, ModelScores) else None
    return replace(reward, classifier=pool) if pool else reward


def _start(settings: ClassifierSettings, replicas: int, cpus: float, gpus: float) -> Pool:
    # One that died fails the trials that it worked for, and is there again for the next.
    actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=-1)(Replica)
    if not gpus:
        # Ray leaves the GPUs in sight of an actor that asked for none.
        actor = actor.options(runtime_env={"env_vars": {"CUDA_VISIBLE_DEVICES": ""}})
    return Pool(tuple(actor.remote(settings) for _ in range(replicas)))


def _wait(pool: Pool, settings: ModelReward) -> None:
    try:
        ray.get([replica.start.remote() for replica in pool.replicas])
    except ray.exceptions.RayError as error:
        raise UserError(f"reward.model: {settings.model} does not start: {one_line(error)}.") from error


def _check_room(demands: Mapping[_Demand, ModelReward], engine: EngineSettings) -> None:
    """Places everything on the nodes, the largest first, each where it fits first."""
    wanted = [{"CPU": cpus, "GPU": gpus} for _, replicas, cpus, gpus in demands for _ in range(replicas)]
    nodes = [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
    for want in sorted([*wanted, engine_resources(engine)], key=lambda want: (want["GPU"], want["CPU"]), reverse=True):
        node = next((node for node in nodes if _fits(want.items(), node)), None)
        if node is None:
            raise UserError(
                f"reward: the Ray cluster has no room for {len(wanted)} replicas of reward models beside an engine; "
                "lower replicas, cpus or gpus, or set replicas: 0."
            )
        for kind, amount in want.items():
            node[kind] = node.get(kind, 0) - amount


def _fits(want: Iterable[tuple[str, float]], node: Mapping[str, float]) -> bool:
    return all(node.get(kind, 0) >= amount for kind, amount in want)
