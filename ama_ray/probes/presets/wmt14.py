"""WMT14 (Bojar et al., 2014), French to English; prompts as the task `wmt14-fr-en` of lm-evaluation-harness 0.4.13."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row, read_text
from ama_ray.errors import UserError
from ama_ray.probes.presets.base import Form, Hub, Preset
from ama_ray.probes.presets.parsing import inner, records
from ama_ray.probes.translation import Bleu

if TYPE_CHECKING:
    from pathlib import Path


def _read(file: Path) -> list[Row]:
    """Reads rows, or aligned lines: a `.fr` file with a `.en` file of the same stem beside it."""
    if file.suffix != ".fr":
        return records(file)
    english_file = file.with_suffix(".en")
    french, english = (read_text(each_file).removesuffix("\n").split("\n") for each_file in (file, english_file))
    if len(french) != len(english):
        raise UserError(f"{file}: {len(french)} lines, but {len(english)} in {english_file}; they must be aligned.")
    return [
        Row({"translation": {"fr": source, "en": target}}, f"{file}, line {number}")
        for number, (source, target) in enumerate(zip(french, english, strict=True), start=1)
    ]


def _render(row: Row) -> dict[str, Any]:
    pair = inner(row, "translation")
    return {"prompt": f"French phrase: {pair.text('fr')}\nEnglish phrase:", "answer": pair.text("en")}


PRESETS = {
    "wmt14_fr_en": Preset(
        family="translation",
        kind=Bleu(max_tokens=256, stop=("\n",)),
        # The training split has 40 million pairs: nothing of it is fetched.
        hub=Hub("wmt/wmt14", "fr-en", search="validation", report="test", few_shot="validation", streamed=True),
        forms=(Form(("translation",)),),
        render=_render,
        read=_read,
    )
}
