"""Reading configurations and tokenizers imports little, and leaves transformers as able as before."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ama_ray.miniature import ROOT

pytestmark = pytest.mark.long  # each imports transformers anew

UNUSED = ("sklearn", "pandas", "torch._dynamo", "torch.distributed.tensor", "vllm", "ray", "optuna", "matplotlib")


def printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_check_imports_nothing_that_runs_a_model_or_a_search() -> None:
    code = f"""
import sys
from ama_ray.cli import main
sys.argv = ["ama-ray", "check", {str(ROOT / "run.yaml")!r}]
try:
    main.app()
except SystemExit as ended:
    assert not ended.code
print([name for name in {UNUSED!r} if name in sys.modules])
"""
    assert printed(code) == "[]"


def test_models_still_load_and_generate_afterwards() -> None:
    code = f"""
import transformers
from ama_ray.checkpoints.checkpoint import read_config
from pathlib import Path
assert read_config(Path({str(ROOT / "base")!r}))["model_type"] == "llama"
assert transformers.utils.is_torch_available() and transformers.utils.import_utils.is_torch_available()
tokenizer = transformers.AutoTokenizer.from_pretrained({str(ROOT / "base")!r})
model = transformers.AutoModelForCausalLM.from_pretrained({str(ROOT / "base")!r})
tokens = tokenizer("user : hi", return_tensors="pt").input_ids
print(model.generate(tokens, max_new_tokens=3, do_sample=False).shape[1] - tokens.shape[1])
"""
    assert printed(code) == "3"
