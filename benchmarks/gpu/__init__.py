"""The acceptance run: what only a GPU can show, in six steps, the cheapest first.

    python -m benchmarks.gpu.accept --out gpu.json

runs them in order and writes `gpu.json`; each is a program of its own as well (`python -m benchmarks.gpu.torch_alone`),
ends within its minutes, prints one line of JSON and one verdict, and has exit code 1 where a check failed. 25 minutes
in all on one H200.

| step | module | minutes | what it shows |
|---|---|---|---|
| 1 | `torch_alone` | 3 | host memory is locked, arithmetic equals a CPU's, a swap of 8B in every place |
| 2 | `streams` | 2 | swaps of large buffers against plain copies |
| 3 | `small_engine` | 8 | swaps against vLLM's own loading in every place, graphs, prefix cache, scores of targets |
| 4 | `fresh_process` | 4 | a swapped engine against a fresh process on the export: how far two sound ones differ |
| 5 | `large_engine` | 7 | 8B: swap, verification, first token, peak memory, KV cache; again with 24 GB left, streamed |
| 6 | `further` | what is left | seeded replies against unseeded ones, a mixture of experts |

Steps 1 and 2 need PyTorch (with NumPy) alone, the others vLLM. Weights are random, of real shapes, with logits as large
as those of real models. On a machine without a GPU each does what a CPU can do, with small shapes, and says what it
left out; without vLLM, steps 3 to 6 say that they are skipped. `parts` brings vLLM to a machine without a network;
`ATTENTION=TRITON_ATTN` in the environment chooses a backend of attention that needs no kernels of its own.
"""
