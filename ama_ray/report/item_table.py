"""Every item of every point as a table: what was asked, what is right, what was answered, and its score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets import Dataset

    from ama_ray.config import Split
    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

SPLITS: tuple[Split, Split] = ("search", "report")


def item_table(run: StoredRun, points: Sequence[Trial]) -> Dataset:
    """Makes the table; see `Run.to_dataset`.

    Raises:
        UserError: The run's folder has lost items, or its texts are damaged.
    """
    from datasets import Dataset, Features, Value

    kinds = {"point": "int64", "split": "string", "source": "string", "item": "int64", "prompt": "string"}
    kinds |= {"gold": "string", "answer": "string", "score": "float64"}
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    asked = run.texts.read_items()
    for split in SPLITS:
        for point in points:
            if point.state != "complete" or not point.seen_on(split).scores:
                continue
            said = run.texts.read_answers(point.number) if split == "report" else {}
            for source, scores in run.objectives.of_each_item(run.items.read(split, point.number)).items():
                count = len(scores)
                texts = asked.get(source, []) if split == "report" else []
                answers = said.get(source, [])
                columns["point"] += [point.number] * count
                columns["split"] += [split] * count
                columns["source"] += [source] * count
                columns["item"] += range(count)
                columns["prompt"] += [text.prompt for text in texts] if len(texts) == count else [None] * count
                columns["gold"] += [text.gold for text in texts] if len(texts) == count else [None] * count
                columns["answer"] += answers if len(answers) == count else [None] * count
                columns["score"] += scores.tolist()
    return Dataset.from_dict(columns, features=Features({name: Value(kind) for name, kind in kinds.items()}))
