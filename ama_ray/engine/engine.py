"""`Engine`: one live vLLM engine, in this process, whose weights can be swapped between trials."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine.extension import SwapError
from ama_ray.engine.placement import place
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.engine.scoring import UNSCORED, ScoringError, plan

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from ama_ray.checkpoint import Checkpoint
    from ama_ray.config import Engine as EngineSettings
    from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
    from ama_ray.engine.scoring import Branch

MAX_CANDIDATES = 128
"""Most next tokens whose log-probabilities one request gives: vLLM's limit on `logprob_token_ids`."""
WARM_UP_TOLERANCE = 0.5
"""Nats by which a log-probability may differ between vLLM's sampler and `TargetScorer`: some bfloat16 roundings."""

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
# `TargetScorer` knows the first model runner only, which is also the one that runs on a CPU.
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
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


def _keep_freed_memory() -> None:
    """Has the C library keep blocks of up to 256 MiB that were freed, for the next step's activations.

    It would give them back, and every step would have the kernel clear the same pages again: a tenth of the time.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:  # glibc's
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 2**28)
        mallopt(trim_threshold, 2**28)


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
        eager = on_cpu if settings.enforce_eager is None else settings.enforce_eager
        if eager:
            # Without this, vLLM compiles a small part of its sampler all the same, for seconds.
            torch._dynamo.config.disable = True
        self._place, utilisation = place(settings, folder)
        sizes: dict[str, Any] = {"gpu_memory_utilization": utilisation}
        if on_cpu:
            _keep_plain_weights()
            _repack_experts()
            _keep_freed_memory()
            torch.set_num_threads(max(1, int(settings.cpus)))
            sizes = {
                "kv_cache_memory_bytes": int(settings.kv_cache_gib * 2**30),
                "block_size": 32,
                # Activations of more tokens than this leave a core's cache.
                "max_num_batched_tokens": max(1024, max_model_len),
                # A seeded prompt taken in parts would have its random numbers rolled back, which torch cannot on a CPU.
                "enable_chunked_prefill": False,
            }
        self._llm = LLM(
            model=str(folder),
            dtype=settings.dtype,
            enforce_eager=eager,
            max_model_len=max_model_len,
            enable_prefix_caching=True,
            max_logprobs=MAX_CANDIDATES,
            seed=0,
            worker_extension_cls="ama_ray.engine.extension.SwapExtension",
            **sizes,
        )
        self._call("score_targets")
        self._warm_up()

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replaces the weights by those of a checkpoint of the same shape, through vLLM's own loading."""
        self._call("load_checkpoint", checkpoint)
        self._reset_cache()

    @property
    def parameter_bytes(self) -> dict[str, int]:
        """Size of every live parameter, in the engine's layout."""
        sizes: dict[str, int] = self._call("parameter_bytes")
        return sizes

    def snapshot(
        self, names: Collection[str], narrow: torch.dtype, spans: Mapping[str, tuple[Span, ...]] | None = None
    ) -> dict[str, StoredTensor]:
        """Live parameters in the engine's layout, whole or by their spans; see `StoredTensor.of`."""
        parameters: dict[str, StoredTensor] = self._call("snapshot", names, narrow, spans)
        return parameters

    def find_spans(
        self, shapes: Mapping[str, Sequence[int]], group_of: Mapping[str, str]
    ) -> dict[str, tuple[Span, ...]]:
        """See `SwapExtension.find_spans`. Destroys the live weights."""
        spans: dict[str, tuple[Span, ...]] = self._call("find_spans", shapes, group_of)
        return spans

    def attach(self, endpoints: Endpoints) -> None:
        """Maps both endpoints, so that `swap` can interpolate them."""
        self._call("attach", endpoints, self._place)

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Swaps in the merge of these ratios (share of aligned by group), verified, with no stale cache behind it.

        Groups whose ratio is that of the last swap are left alone.

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
        """Sums of log-probabilities of every continuation of every request.

        What continuations have in common, their context first of all, is computed once. Continuations of one token
        each, as letters and single words are, cost one generated token for all of them.
        """
        planned = plan([request for request in requests if not _is_single(request)])
        # The plan counts on a cache that holds nothing but what its own branches put there, hence also this order.
        self._reset_cache()
        sums = iter(planned.sums(self._scores(planned.branches)))
        single = iter(self._single_token_scores([request for request in requests if _is_single(request)]))
        return [next(single if _is_single(request) else sums) for request in requests]

    def next_tokens(self, requests: Sequence[NextToken]) -> list[dict[int, float]]:
        """Log-probabilities of the most likely next tokens at temperature 1, the likeliest first, in one batch.

        There are `MAX_CANDIDATES` of them, or as many as the vocabulary has where that is smaller.
        """
        from vllm import SamplingParams

        params = SamplingParams(
            max_tokens=1,
            temperature=0,
            logprobs=min(MAX_CANDIDATES, self._llm.model_config.get_vocab_size()),
            flat_logprobs=True,
            detokenize=False,
        )
        outputs = self._run([list(request.context) for request in requests], [params] * len(requests))
        steps = [output.outputs[0].logprobs for output in outputs]
        # The generated token is in front, and comes again in its place.
        return [dict(zip(step.token_ids[1:], step.logprobs[1:], strict=True)) for step in steps]

    def _scores(self, branches: Sequence[Branch], *, read_cache: bool = True) -> list[list[float]]:
        """Log-probabilities of each branch's targets.

        Raises:
            ScoringError: vLLM did not answer what was asked.
        """
        from vllm import SamplingParams

        outputs = self._run(
            [list(branch.tokens) for branch in branches],
            [
                SamplingParams(
                    max_tokens=1,
                    temperature=0,
                    prompt_logprobs=0,
                    skip_reading_prefix_cache=not read_cache,
                    extra_args=branch.extra_args,
                    flat_logprobs=True,
                    detokenize=False,
                )
                for branch in branches
            ],
        )
        scores = []
        for branch, output in zip(branches, outputs, strict=True):
            answer = output.prompt_logprobs
            if answer.token_ids != [token for _, token in branch.targets]:
                raise ScoringError("vLLM's answer is not for the tokens that were asked; its log-likelihoods are wrong")
            scores.append(answer.logprobs)
        unscored = [number for number, answer in enumerate(scores) if UNSCORED in answer]
        if unscored and not read_cache:
            raise ScoringError("vLLM left log-probabilities out, though it was not to use its cache")
        if unscored:
            # A branch that vLLM put off half-way, to make room, may find in the cache what it has yet to score.
            again = self._scores([branches[number] for number in unscored], read_cache=False)
            for number, answer in zip(unscored, again, strict=True):
                scores[number] = answer
        return scores

    def _single_token_scores(self, requests: Sequence[Continuations]) -> list[list[float]]:
        from vllm import SamplingParams

        candidates = [sorted({continuation[0] for continuation in request.continuations}) for request in requests]
        outputs = self._run(
            [list(request.context) for request in requests],
            [SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=tokens) for tokens in candidates],
        )
        steps = [output.outputs[0].logprobs[0] for output in outputs]
        return [
            [step[continuation[0]].logprob for continuation in request.continuations]
            for request, step in zip(requests, steps, strict=True)
        ]

    def _warm_up(self) -> None:
        # The first request of each sort compiles for seconds, which would be charged to the first trial.
        self.generate([Generation((1, 1), max_tokens=2, temperature=1.0)])
        self.next_tokens([NextToken((1,))])
        self.loglikelihoods([Continuations((1,), ((1,),))])
        self._check_scores()

    def _check_scores(self) -> None:
        """Compares `TargetScorer` with vLLM's sampler on a greedy reply.

        Raises:
            ScoringError: They differ by more than the engine's precision may: vLLM's internals are not as they were.
        """
        context = (1, 2)
        (reply,) = self.greedy_logprobs([context], 2)
        planned = plan([Continuations(context, (tuple(token for token, _ in reply),))])
        (scores,) = self._scores(planned.branches)
        if not all(abs(a - b) <= WARM_UP_TOLERANCE for a, (_, b) in zip(scores, reply, strict=True)):
            raise ScoringError(f"tokens with log-probabilities {reply} when generated have {scores} when scored")

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
    return 0 < len(request.continuations) <= MAX_CANDIDATES and all(len(c) == 1 for c in request.continuations)
