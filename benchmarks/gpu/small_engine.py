"""Step 3, with vLLM: the shape of Qwen3-0.6B, swapped in every place, against vLLM's own loading of the same merge.

python -m benchmarks.gpu.small_engine
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.gpu.measure import device_name, seconds
from benchmarks.gpu.outcome import Outcome, need
from benchmarks.gpu.shapes import QWEN_600M, SMALL

if TYPE_CHECKING:
    from ama_ray.engine.placement import Place
    from benchmarks.gpu.live import Live

PLACES: tuple[Place, ...] = ("accelerator", "split", "pinned", "object_store")
RESETS = 50
CHUNK = 512
"""Most tokens of a step on a GPU: longer prompts are computed in parts."""
SCORED = {True: 1300, False: 90}
"""Tokens of the prompts whose scores are compared, on a GPU and without."""
NEW_TOKENS = 16


def main() -> None:
    """Draws the pair, starts one engine and does all checks with it."""
    outcome = Outcome("small_engine", device_name())
    need(outcome, "vllm", "transformers")
    from ama_ray.config import EngineSettings
    from benchmarks.gpu.live import Live, arguments, quiet
    from benchmarks.gpu.pairs import draw_pair

    quiet()
    on_gpu = torch.cuda.is_available()
    shape = (QWEN_600M if on_gpu else SMALL) | {"tie_word_embeddings": True}
    with tempfile.TemporaryDirectory() as folder:
        pair = draw_pair(Path(folder), "Qwen3ForCausalLM", shape)
        chunked = {"max_num_batched_tokens": CHUNK} if on_gpu else {}
        settings = EngineSettings(kv_cache_gib=0.1, gpu_memory_utilization=0.5, vllm=arguments(**chunked))
        live = Live(*pair, settings, 2048 if on_gpu else 128)
        outcome.figures |= {
            "asynchronous scheduling": live.config.scheduler_config.async_scheduling,
            "CUDA graphs": str(live.config.compilation_config.cudagraph_mode),
            "attention": str(live.config.attention_config.backend),
        }
        if not on_gpu:
            outcome.left_out.append("the shape of Qwen3-0.6B, places, CUDA graphs, prompts in parts")
        for place in PLACES if on_gpu else PLACES[-1:]:
            _place(outcome, live, place)
        _resets(outcome, live)
        _scores(outcome, live, SCORED[on_gpu])
    outcome.finish()


def _place(outcome: Outcome, live: Live, place: Place) -> None:
    """Compares a swap with vLLM's own loading, in tensors and in answers."""
    from benchmarks.gpu.live import swap_and_load, there_and_back

    live.attach(place)
    here, there = live.ratios(0.25, 0.75), live.ratios(0.9, 0.1)
    for name, ratios in (("rising", here), ("falling", there)):
        merge = (live.pair.sources, live.groups.shares_of(ratios))
        odd, moved, count = live.ask(swap_and_load, ratios, merge)
        outcome.figures["tensors"] = count
        outcome.check(f"{place}: tensors as vLLM loads them, ratios {name}", not odd, f"differing: {odd[:5]}")
        outcome.check(f"{place}: memory of tensors, ratios {name}", not moved, f"moved: {moved[:5]}")
    prompts = live.prompts()
    live.engine._empty_cache()
    loaded = live.engine.greedy_logprobs(prompts, NEW_TOKENS)  # `there`, as vLLM has loaded it
    live.engine.swap(there)
    swapped = live.engine.greedy_logprobs(prompts, NEW_TOKENS)
    equal = sum(one == other for one, other in zip(swapped, loaded, strict=True))
    outcome.at_least(f"{place}: prompts with the same tokens and log-probabilities", equal, len(prompts))
    odd = live.ask(there_and_back, here, there)
    outcome.check(f"{place}: there and back", not odd, f"differing: {odd[:5]}")
    turns = iter([here, there] * 20)
    outcome.figures[f"{place}: swap ms"] = 1000 * seconds(lambda: live.engine.swap(next(turns)))


def _resets(outcome: Outcome, live: Live) -> None:
    """Empties the prefix cache right after requests, again and again, and answers as a cache that was never used."""
    from ama_ray.engine.requests import Generation

    here, there = live.ratios(0.2, 0.8), live.ratios(0.7, 0.3)
    request = [Generation(tuple(range(2, 66)), max_tokens=4, n=2, temperature=1.0, seed=1)]
    first: dict[int, Any] = {}
    done = 0
    for number in range(RESETS):
        live.engine.swap((here, there)[number % 2])
        replies = live.engine.generate(request)
        emptied = live.engine._empty_cache()
        done += emptied and replies == first.setdefault(number % 2, replies)
    outcome.at_least("caches emptied, with the answers of the same weights before", done, RESETS)


def _scores(outcome: Outcome, live: Live, length: int) -> None:
    """Compares our scorer of targets with vLLM's own log-probabilities of a prompt."""
    from vllm import SamplingParams

    from ama_ray.engine.asking import ignored, scores_of
    from ama_ray.engine.prefix_tree import plan
    from ama_ray.engine.requests import Continuations

    live.engine.swap(live.ratios(0.4, 0.6))
    vocabulary = int(live.pair.config["vocab_size"])
    draw = torch.Generator().manual_seed(1)
    prompts = [torch.randint(vocabulary, (length,), generator=draw).tolist() for _ in range(4)]
    requests = [Continuations(tuple(prompt[:1]), (tuple(prompt[1:]),)) for prompt in prompts]
    # One at a time, so that both are computed in the same steps.
    ours = [live.engine._together([scores_of(plan([request]).branches)], ignored)[0][0] for request in requests]
    theirs = []
    for prompt in prompts:
        live.engine._empty_cache()
        asked: Any = {"prompt_token_ids": prompt}
        params = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)
        (answer,) = live.engine._llm.generate(asked, params, use_tqdm=False)
        after = zip(prompt[1:], answer.prompt_logprobs[1:], strict=True)
        theirs.append([logprobs[token].logprob for token, logprobs in after])
    gaps = [abs(a - b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
    largest = max(abs(score) for scores in theirs for score in scores)
    step = 2.0 ** (int(torch.tensor(largest).log2()) - 7)
    outcome.figures["scores compared"] = len(gaps)
    outcome.at_most("largest difference of scores of targets, nats", max(gaps), step)


if __name__ == "__main__":
    main()
