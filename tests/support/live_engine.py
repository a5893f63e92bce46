"""One engine in this process, for tests that talk to it from another (`OwnProcess`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine.in_process import InProcessEngine
from ama_ray.evaluation.commands import Commands, PreparedCommand
from ama_ray.space.search_space import SearchSpace
from tests.support.equality import endpoints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.config import CommandProbe, Split
    from ama_ray.engine.endpoints import Endpoints, Span
    from ama_ray.evaluation.commands import Outcome

SETTINGS = EngineSettings(dtype="float32", kv_cache_gib=1 / 32)
"""Of a small engine, whose sums are exact enough to be compared."""

_engines: list[tuple[InProcessEngine, Endpoints]] = []


def start(folder: Path, space: str | dict[str, Any], settings: EngineSettings, max_model_len: int) -> tuple[str, ...]:
    """Starts the engine on `folder/base` and attaches the pair; returns the names of the groups."""
    pair = Pair.open(str(folder / "base"), str(folder / "aligned"))
    groups = SearchSpace.load(space).resolve(pair.names)
    engine = InProcessEngine(pair.base.folder, settings, max_model_len)
    attached = endpoints(engine, pair, groups)
    engine.attach(attached)
    _engines.append((engine, attached))
    return groups.names


def ask(method: str, *args: Any) -> Any:
    """Calls a method of the engine."""
    return getattr(_engines[0][0], method)(*args)


def run_command(settings: CommandProbe, split: Split) -> Outcome:
    """What a command says of the weights that are live."""
    return Commands((PreparedCommand(settings, split),)).run(_engines[0][0])[settings.name]


def parameter_bytes() -> dict[str, int]:
    """Size of every live parameter."""
    return _engines[0][0].parameter_bytes


def spans() -> dict[str, tuple[Span, ...]]:
    """Which elements of the engine's parameters belong to which group."""
    return dict(_engines[0][1].spans[0])


def cached_tokens(prompts: Sequence[Sequence[int]]) -> list[int]:
    """How many tokens of each prompt vLLM takes from its prefix cache."""
    from vllm import SamplingParams

    asked: list[Any] = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
    outputs = _engines[0][0]._llm.generate(asked, SamplingParams(max_tokens=1), use_tqdm=False)
    return [output.num_cached_tokens for output in outputs]
