"""`Preset`: what is known of a benchmark, and the forms in which its items are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.config.data import HubDataset
from ama_ray.data import hub
from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.probes.presets.parsing import records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ama_ray.probes.base import ProbeKind


@dataclass(frozen=True)
class Hub:
    """A dataset of the hub, and what its splits are used for.

    Attributes:
        path: Such as `allenai/ai2_arc`.
        name: Of the configuration, where there are several.
        search: The split of the search items.
        report: The split of the report items; without one, the search split is divided.
        few_shot: The split of the solved examples, where there is one.
        streamed: Whether only the splits that are used are fetched, at every run; otherwise all of the dataset is
            fetched and kept on disk.
    """

    path: str
    name: str | None
    search: str
    report: str | None = None
    few_shot: str | None = None
    streamed: bool = False

    def rows(self, split: str) -> list[Row]:
        """The rows of a split.

        Raises:
            UserError: It cannot be fetched; names dataset and split.
        """
        return hub.rows(HubDataset(dataset=self.path, name=self.name, split=split), streamed=self.streamed)


@dataclass(frozen=True)
class Form:
    """One way in which the items of a benchmark are stored.

    Attributes:
        fields: Fields that rows in this form have, by which it is told from the others.
        documents: From all rows to documents with the fields of the hub's rows.
    """

    fields: tuple[str, ...]
    documents: Callable[[Sequence[Row]], list[Row]] = list


@dataclass(frozen=True)
class Preset:
    """A benchmark.

    Attributes:
        family: Of the tax.
        kind: How it is asked and scored.
        hub: Where its items are.
        forms: Known forms of its rows, the hub's first.
        render: From a document to the fields that the kind wants.
        read: From a local copy to rows in one of the forms.
        examples_beside: From a local copy to the one of its solved examples, where releases have one.
        in_front: Puts solved examples in front of items, for a benchmark whose items do not share them; takes the
            items, the examples and how many.
    """

    family: str
    kind: ProbeKind
    hub: Hub
    forms: tuple[Form, ...]
    render: Callable[[Row], dict[str, Any]]
    read: Callable[[Path], list[Row]] = records
    examples_beside: Callable[[Path], Path] | None = None
    in_front: Callable[[Sequence[Row], Sequence[Row], int], tuple[Row, ...]] | None = None

    def items(self, rows: Sequence[Row]) -> list[Row]:
        """Rows in any of the forms as rows with the fields that the kind wants.

        Raises:
            UserError: The rows have none of the forms or hold no items, or a field is missing or wrong.
        """
        first = rows[0]
        form = next((form for form in self.forms if all(field in first.fields for field in form.fields)), None)
        if form is None:
            known = ", or ".join(" and ".join(map(repr, form.fields)) for form in self.forms)
            raise UserError(
                f"{first.where}: not a known form of this benchmark; its rows have the fields {known}, and this one "
                f"has {', '.join(map(repr, first.fields)) or 'none'}."
            )
        documents = form.documents(rows)
        if not documents:
            raise UserError(f"{first.where}: there are no items; a benchmark needs some.")
        return [Row(self.render(document), document.where) for document in documents]


def each(convert: Callable[[Row], dict[str, Any]]) -> Callable[[Sequence[Row]], list[Row]]:
    """Converts the fields of every row by itself."""
    return lambda rows: [Row(convert(row), row.where) for row in rows]
