"""A Pareto set as notebooks and data frames of items take it."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.item_store import ItemStore

if TYPE_CHECKING:
    from datasets import Dataset

    from ama_ray.config import Split
    from ama_ray.pareto import ParetoSet

_WIDTH = 100


def to_html(pareto: ParetoSet) -> str:
    """The front as a table, a sentence and a picture; see `ParetoSet`."""
    from rich.console import Console

    from ama_ray.report import front_table, plot_front, sentence

    told = f"<p>{html.escape(sentence(pareto))}</p>"
    if not pareto.front:
        return told
    console = Console(record=True, file=io.StringIO(), width=_WIDTH, force_jupyter=False)
    console.print(front_table(pareto))
    table = console.export_html(inline_styles=True, code_format='<pre style="line-height: 1.2">{code}</pre>')
    picture = io.BytesIO()
    plot_front(pareto, picture)
    encoded = base64.b64encode(picture.getvalue()).decode()
    return f'{table}{told}<img alt="reward against tax" width="640" src="data:image/png;base64,{encoded}">'


def to_dataset(pareto: ParetoSet) -> Dataset:
    """Everything that was scored, item by item; see `ParetoSet.to_dataset`."""
    from datasets import Dataset

    if pareto.config is None:
        raise UserError("This Pareto set does not know its run; open it with ParetoSet.open(run folder).")
    store = ItemStore(pareto.config.out / "items")
    columns: dict[str, list[Any]] = {name: [] for name in ("trial", "split", "name", "item", "values")}
    splits: tuple[Split, Split] = ("search", "report")
    for split in splits:
        scored = [t.number for t in pareto.trials if t.state == "complete" and t.seen_on(split).scores]
        for number in scored:
            for name, items in store.read(split, number).items():
                columns["trial"] += [number] * len(items)
                columns["split"] += [split] * len(items)
                columns["name"] += [name] * len(items)
                columns["item"] += range(len(items))
                columns["values"] += items.tolist()
    return Dataset.from_dict(columns)
