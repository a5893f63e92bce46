"""`Engine`: one live vLLM engine, in this process, whose weights can be swapped between trials."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine.extension import SwapError
from ama_ray.engine.requests import Continuations, Generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ama_ray.config import Engine as EngineSettings
    from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor

MAX_CANDIDATES = 128
"""vLLM's limit on `logprob_token_ids`."""

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
if not torch.cuda.is_available():
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")


def _keep_plain_weights() -> None:
    """Keeps every Linear's weight where a swap can reach it.

    On a CPU, vLLM packs weights for oneDNN, AMX or zentorch kernels at load and leaves the parameter empty or stale;
    a swap would then change only norms and embeddings, without an error. PyTorch's own kernels read the live weight.
    """
    from torch.nn.functional import linear
    from vllm.model_executor.layers import utils

    def dispatch(layer: Any, remove_weight: bool) -> None:
        layer.cpu_linear = linear

    utils.dispatch_cpu_unquantized_gemm = dispatch


def _repack_experts() -> None:
    """Brings experts into the kernel's layout after every load.

    vLLM's CPU kernel for mixtures of experts reads weights in a packed order, and vLLM packs them after the first load
    only: any later load, and so both endpoints, would have the plain order, which the kernel takes for garbage without
    an error. Packing is a permutation with zeros as padding, so endpoints that were packed alike can be interpolated.
    """
    from vllm.model_executor.layers.fused_moe.unquantized_fused_moe_method import UnquantizedFusedMoEMethod

    set_up = UnquantizedFusedMoEMethod._setup_kernel
    if set_up.__module__ == __name__:
        return

    def set_up_and_pack(self: Any, layer: Any, w13: torch.Tensor, w2: torch.Tensor) -> None:
        is_first = self.moe_kernel is None
        set_up(self, layer, w13, w2)
        if not is_first:
            self.moe_kernel.fused_experts.process_weights_after_loading(layer)

    UnquantizedFusedMoEMethod._setup_kernel = set_up_and_pack


class Engine:
    """One vLLM engine, started once, holding one merge at a time."""

    def __init__(self, folder: Path, settings: EngineSettings, max_model_len: int) -> None:
        """Starts the engine on a checkpoint.

        Args:
            folder: A Hugging Face checkpoint folder with its tokenizer.
            settings: Precision and resources.
            max_model_len: Tokens of context the run needs.
        """
        from vllm import LLM

        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            _keep_plain_weights()
            _repack_experts()
            torch.set_num_threads(max(1, int(settings.cpus)))
        eager = settings.enforce_eager if settings.enforce_eager is not None else on_cpu
        memory: dict[str, Any] = {"kv_cache_memory_bytes": int(settings.kv_cache_gib * 2**30)}
        self._llm = LLM(
            model=str(folder),
            dtype=settings.dtype,
            enforce_eager=eager,
            max_model_len=max_model_len,
            block_size=32 if on_cpu else None,
            enable_prefix_caching=True,
            seed=0,
            worker_extension_cls="ama_ray.engine.extension.SwapExtension",
            **(memory if on_cpu else {}),
        )
        self._warm_up()

    def load_checkpoint(self, folder: Path) -> None:
        """Replaces the weights by those of a checkpoint of the same shape, through vLLM's own loading."""
        self._call("load_checkpoint", str(folder))
        self._reset_cache()

    def snapshot(self, narrow: torch.dtype) -> dict[str, StoredTensor]:
        """The live parameters in the engine's layout; views of them where the dtype allows."""
        parameters: dict[str, StoredTensor] = self._call("snapshot", narrow)
        return parameters

    def find_spans(
        self, shapes: Mapping[str, Sequence[int]], group_of: Mapping[str, str]
    ) -> dict[str, tuple[Span, ...]]:
        """Which elements of the engine's parameters belong to which group. Destroys the live weights."""
        spans: dict[str, tuple[Span, ...]] = self._call("find_spans", shapes, group_of)
        return spans

    def attach(self, endpoints: Endpoints) -> None:
        """Maps both endpoints, so that `swap` can interpolate them."""
        self._call("attach", endpoints)

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Swaps in the merge of these ratios (share of aligned by group), verified, with no stale cache behind it.

        Raises:
            SwapError: The weights or the cache are not as they must be; throw this engine away.
        """
        self._call("swap", ratios)
        self._reset_cache()

    def generate(self, requests: Sequence[Generation]) -> list[list[str]]:
        """Samples replies, `n` per request, in one batch."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        outputs = self._run(
            [list(request.prompt) for request in requests],
            [
                SamplingParams(
                    max_tokens=request.max_tokens,
                    temperature=request.temperature,
                    n=request.n,
                    seed=request.seed if request.temperature > 0 else None,
                    stop=list(request.stop),
                    output_kind=RequestOutputKind.FINAL_ONLY,
                )
                for request in requests
            ],
        )
        return [[reply.text for reply in output.outputs] for output in outputs]

    def greedy_logprobs(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[list[tuple[int, float]]]:
        """Greedy tokens after each prompt with their log-probabilities, past the end token; for the deep check."""
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=max_tokens, temperature=0, logprobs=1, ignore_eos=True)
        replies = [output.outputs[0] for output in self._run([list(p) for p in prompts], [params] * len(prompts))]
        return [
            [(token, step[token].logprob) for token, step in zip(reply.token_ids, reply.logprobs, strict=True)]
            for reply in replies
        ]

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        """Sums of log-probabilities of every continuation of every request, in one batch.

        Continuations of one token each, as letters and single words are, cost one generated token for all of them;
        others cost a prompt each.
        """
        from vllm import SamplingParams

        prompts: list[list[int]] = []
        params: list[Any] = []
        single = [_is_single(request) for request in requests]
        for request, one_token in zip(requests, single, strict=True):
            if one_token:
                candidates = sorted({c[0] for c in request.continuations})
                prompts.append(list(request.context))
                params.append(SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=candidates))
            else:
                prompts.extend([*request.context, *continuation] for continuation in request.continuations)
                params.extend(
                    [SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)] * len(request.continuations)
                )
        outputs = iter(self._run(prompts, params))
        result = []
        for request, one_token in zip(requests, single, strict=True):
            if one_token:
                step = next(outputs).outputs[0].logprobs[0]
                result.append([step[continuation[0]].logprob for continuation in request.continuations])
            else:
                result.append(
                    [_continuation_logprob(next(outputs), len(request.context)) for _ in request.continuations]
                )
        return result

    def _warm_up(self) -> None:
        # The first request of each sort compiles for seconds, which would be charged to the first trial.
        self.generate([Generation((1, 1), max_tokens=2, temperature=1.0)])
        self.loglikelihoods([Continuations((1,), ((1, 1),)), Continuations((1,), ((1,),))])

    def _run(self, prompts: list[list[int]], params: list[Any]) -> list[Any]:
        outputs: list[Any] = self._llm.generate(
            [{"prompt_token_ids": prompt} for prompt in prompts], params, use_tqdm=False
        )
        return outputs

    def _reset_cache(self) -> None:
        if not self._llm.reset_prefix_cache():
            raise SwapError("vLLM did not reset its prefix cache, so scores could be those of other weights")

    def _call(self, method: str, *args: Any) -> Any:
        return self._llm.collective_rpc(method, args=args)[0]


def _is_single(request: Continuations) -> bool:
    return len(request.continuations) <= MAX_CANDIDATES and all(len(c) == 1 for c in request.continuations)


def _continuation_logprob(output: Any, context: int) -> float:
    tokens = output.prompt_token_ids
    return float(sum(output.prompt_logprobs[index][tokens[index]].logprob for index in range(context, len(tokens))))
