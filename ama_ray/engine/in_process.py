"""`InProcessEngine`: one live vLLM engine in this process, the fastest to swap and to ask.

On several GPUs its workers are processes of their own (vLLM's `mp` executor), and end with this one.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from ama_ray.engine.arguments import engine_arguments, prepare_processes
from ama_ray.engine.asking import greedy, greedy_answers, ignored
from ama_ray.engine.engine import Engine
from ama_ray.engine.model_classes import import_model_classes
from ama_ray.engine.placement import place
from ama_ray.engine.requests import Answer
from ama_ray.engine.worker.nameless import drop_names
from ama_ray.engine.worker.swap_extension import SwapError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.config import EngineSettings
    from ama_ray.engine.asking import Finished, SamplingFields
    from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
    from ama_ray.engine.openai_address import OpenAIAddress
    from ama_ray.engine.server.loopback import Loopback
    from ama_ray.engine.verdict import Outputs

R = TypeVar("R")

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
# The first model runner, as the second one has not been tried on a GPU; `target_scorer` knows both.
os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
if not torch.cuda.is_available():
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")


class InProcessEngine(Engine):
    """One vLLM engine in this process."""

    def __init__(
        self,
        folder: Path,
        settings: EngineSettings,
        max_model_len: int,
        of_pair: Mapping[str, Any] | None = None,
        models: int = 1,
    ) -> None:
        """Starts the engine on a checkpoint.

        Args:
            folder: A Hugging Face checkpoint folder.
            settings: Precision and resources.
            max_model_len: Tokens of context the run needs.
            of_pair: Further arguments of vLLM (`pair_arguments`).
            models: How many aligned models it is to have the endpoints of.
        """
        self._ranks = settings.ranks
        self._place, utilisation = place(settings, folder, max_model_len, models)
        arguments = engine_arguments(folder, settings, max_model_len) | {"gpu_memory_utilization": utilisation}
        arguments |= of_pair or {}
        self._llm = _start(folder, settings, arguments)
        if self._ranks > 1:
            self._call("drop_names")
            drop_names()
        self._call("score_targets")
        self._warm_up()

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replaces the weights by those of a checkpoint of the same shape, through vLLM's own loading."""
        self._call("load_checkpoint", checkpoint)
        self.reset_cache()

    @property
    def parameter_bytes(self) -> dict[str, int]:
        """Size of every live parameter in the engine's layout, on all GPUs together."""
        return dict(sum((Counter(of_one) for of_one in self.call_workers("parameter_bytes")), Counter[str]()))

    def snapshot(
        self, names: Collection[str], narrow: torch.dtype, spans: Mapping[str, tuple[Span, ...]] | None = None
    ) -> dict[str, StoredTensor]:
        """Live parameters in the engine's layout, whole or by their spans; see `StoredTensor.of`."""
        parameters: dict[str, StoredTensor] = self._call("snapshot", names, narrow, spans)
        return parameters

    def find_spans(
        self,
        shapes: Mapping[str, Sequence[int]],
        dtypes: Mapping[str, torch.dtype],
        numbers: Sequence[Mapping[str, str]],
    ) -> list[dict[str, tuple[Span, ...]]]:
        """See `LoadExtension.find_spans`. Destroys the live weights."""
        spans: list[dict[str, tuple[Span, ...]]] = self._call("find_spans", shapes, dtypes, numbers)
        return spans

    def attach(self, endpoints: Endpoints, holds: int = 1) -> None:
        """Maps the endpoints, so that `swap` can merge them.

        Args:
            endpoints: In this engine's layout.
            holds: Which of them is live: 0 for base, 1 for the first aligned model.

        Raises:
            SwapError: The live weights are not that endpoint to the last bit.
        """
        self._call("attach", endpoints, self._place, holds)

    def attach_pair(self, sources: Mapping[str, Any], checksum: str, numbers: Sequence[Mapping[str, str]]) -> None:
        """Has every worker load its part of the endpoints, so that `swap` can merge them.

        See `PairExtension.attach_pair`.
        """
        self._call("attach_pair", dict(sources), checksum, [dict(of_model) for of_model in numbers], self._place)
        self.reset_cache()

    @property
    def _dtype(self) -> str:
        return str(self._llm.model_config.dtype).removeprefix("torch.")

    @property
    def _vocabulary_size(self) -> int:
        return int(self._llm.model_config.get_vocab_size())

    def _run(
        self, prompts: list[list[int]], params: list[SamplingFields], finished: Finished = ignored
    ) -> list[Answer]:
        engine = self._llm.llm_engine
        answers: dict[int, Answer] = {}
        with self._said_plainly():
            for number, (prompt, sampling) in enumerate(zip(prompts, sampling_params(params), strict=True)):
                engine.add_request(str(number), {"prompt_token_ids": prompt}, sampling)
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        number = int(output.request_id)
                        answers[number] = Answer.of(output)
                        finished(number, answers[number])
        return [answers[number] for number in range(len(prompts))]

    def _empty_cache(self) -> bool:
        return bool(self._llm.reset_prefix_cache())

    def call_workers(self, method: str, *args: Any) -> list[Any]:
        """Calls a method of `PairExtension` in every worker; returns what each of them returned.

        Raises:
            SwapError: One in another process failed, or has ended.
        """
        with self._said_plainly():
            results: list[Any] = self._llm.collective_rpc(method, args=args)
            return results

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        """Says what another process of the engine has said, or that it has ended.

        Raises:
            SwapError: One of the two happened.
        """
        try:
            yield
        except (RuntimeError, AssertionError) as error:
            if self._ranks == 1:
                raise
            found = re.search(r"Worker failed with error '(.*)', please check", str(error), re.DOTALL)
            raise SwapError(found.group(1) if found else "a process of the engine has ended") from error

    def serve(self, work: Callable[[OpenAIAddress], R], ends: Sequence[int]) -> R:
        """Serves on loopback; see `Engine.serve`."""
        with self._said_plainly():
            return self._loopback.serve(work, ends)

    @cached_property
    def _loopback(self) -> Loopback:
        from ama_ray.engine.server.loopback import Loopback

        return Loopback(self._llm.llm_engine)

    def close(self) -> None:
        """Ends it with all of its processes."""
        self._llm.llm_engine.engine_core.shutdown()


def _start(folder: Path, settings: EngineSettings, arguments: Mapping[str, Any]) -> Any:
    from vllm import LLM

    if settings.ranks > 1:
        prepare_processes(settings)
    if arguments["enforce_eager"]:
        # Without this, vLLM compiles a small part of its sampler all the same, for seconds.
        torch._dynamo.config.disable = True
    if not torch.cuda.is_available():
        torch.set_num_threads(max(1, int(settings.cpus)))
    import_model_classes(folder)
    return LLM(model=str(folder), **arguments)


def plain_greedy_logprobs(
    folder: Path, settings: EngineSettings, max_model_len: int, prompts: list[list[int]], max_tokens: int
) -> Outputs:
    """Answers of vLLM as it is, started in this process without this project's worker; see `greedy_logprobs`."""
    arguments = engine_arguments(folder, settings, max_model_len)
    del arguments["worker_extension_cls"]
    llm = _start(folder, settings, arguments)
    params = sampling_params([greedy(max_tokens)] * len(prompts))
    outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], params, use_tqdm=False)
    return greedy_answers([Answer.of(output) for output in outputs])


def sampling_params(params: list[SamplingFields]) -> list[Any]:
    """Of plain fields, vLLM's own."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return [SamplingParams(**fields, output_kind=RequestOutputKind.FINAL_ONLY) for fields in params]
