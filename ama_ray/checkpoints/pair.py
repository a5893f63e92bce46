"""`Pair`: base and aligned models, opened, checked against each other, and streamed tensor by tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.adapter_settings import CONFIG, other_base
from ama_ray.checkpoints.checkpoint import Checkpoint, fetch
from ama_ray.checkpoints.compatibility import compare_configs, compare_headers, dtype_name, whole_of
from ama_ray.checkpoints.completeness import check_complete
from ama_ray.checkpoints.contents import Contents, streamed
from ama_ray.checkpoints.fitting import fitted
from ama_ray.checkpoints.generation import Ends, ends_of
from ama_ray.checkpoints.lora import WEIGHTS, Adapter, is_adapter
from ama_ray.checkpoints.matching import matched
from ama_ray.checkpoints.model_config import read_config
from ama_ray.checkpoints.operated import operate, stored
from ama_ray.checkpoints.parts import beside, text_fields
from ama_ray.checkpoints.several import check_one_form
from ama_ray.checkpoints.vocabulary import Vocabulary, compare_vocabularies, has_tokenizer
from ama_ray.checkpoints.weight_files import TensorInfo
from ama_ray.config.delta import Delta
from ama_ray.errors import UserError
from ama_ray.space.groups import ONE_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ama_ray.checkpoints.contents import Streamed
    from ama_ray.space.groups import Groups
    from ama_ray.space.search_space import SearchSpace

__all__ = ["Checkpoint", "Pair", "TensorInfo"]

_CONTEXT_FIELDS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")


@dataclass(frozen=True)
class Pair:
    """Checkpoints of one model, from before and after RLHF, that can be averaged: two, or several aligned ones.

    Attributes:
        base: The checkpoint from before RLHF.
        aligned: The checkpoint from after RLHF, or the first of several; shards, dtypes, tokenizer and token ids of a
            merge are its.
        warnings: What differs between them and does no harm, one sentence each.
        moves: Of every aligned model, how far each averaged tensor is from base: the Euclidean norm of the difference.
        checksum: A SHA-256 of all stored values in their order, the same on every machine.
        checksums: The same of every endpoint, by the names of tensors and whatever files they are in; of an adapter, of
            its files.
        beside: What is not of the language model, and so is not searched: of every such tensor, which part it is
            (`ama_ray.checkpoints.parts`).
        ends: The tokens that end a reply.
    """

    base: Checkpoint
    aligned: Checkpoint
    warnings: tuple[str, ...]
    moves: tuple[Mapping[str, float], ...] = ()
    checksum: str = ""
    checksums: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    ends: Ends = field(default_factory=Ends)
    further: tuple[Checkpoint, ...] = ()
    """The aligned models after the first."""
    delta: Delta | None = None
    """The operator that made the aligned models of others."""

    @classmethod
    def open(cls, base: str, aligned: str | Sequence[str], dtype: str = "auto", *, delta: Delta | None = None) -> Pair:
        """Opens checkpoints and checks that their average makes sense, contents included, cheap checks first.

        Args:
            base: Folder or hub id of the checkpoint from before RLHF.
            aligned: Folder or hub id of the checkpoint from after RLHF, or of a LoRA adapter over base; or several.
            dtype: The precision of a merge where it is narrower than that of aligned, as `bfloat16` for a checkpoint in
                float32: all are converted first. `auto` is aligned's.
            delta: What is done to the differences of the aligned models from base; what comes of it is averaged.

        Raises:
            UserError: A checkpoint is missing, damaged or quantised, holds NaN or infinity, or two do not fit
                together: architecture, configuration, vocabulary, tensor names or shapes differ, or nothing does; or
                they lack a tensor that the architecture needs; or `delta` leaves nothing of a difference.
        """
        pair = cls.read(base, aligned, dtype, delta)
        check_complete(pair.base if pair.aligned.adapter else pair.aligned)
        contents = Contents.of(pair.parents, pair.beside).operated(delta, pair.endpoints, pair.beside)
        return replace(pair, moves=contents.moves, checksum=contents.checksum, checksums=contents.checksums)

    @classmethod
    def read(
        cls, base: str, aligned: str | Sequence[str], dtype: str = "auto", delta: Delta | dict[str, Any] | None = None
    ) -> Pair:
        """Does what `open` does without a look at any value: `moves` and the checksums stay empty."""
        sources = [aligned] if isinstance(aligned, str) else list(aligned)
        pairs = [cls._with_adapter(base, s) if is_adapter(fetch(s)) else cls._of_two(base, s) for s in sources]
        first = pairs[0]
        for other in pairs[1:]:
            check_one_form((first.aligned, first.tokenizer_folder), (other.aligned, other.tokenizer_folder))
        whole_set = replace(
            first,
            further=tuple(other.aligned for other in pairs[1:]),
            warnings=tuple(dict.fromkeys(warning for pair in pairs for warning in pair.warnings)),
            ends=Ends(tuple(dict.fromkeys(number for pair in pairs for number in pair.ends.ids)), first.ends.warnings),
        )
        return whole_set._converted(dtype)._operated(Delta.model_validate(delta) if delta else None)

    @classmethod
    def _of_two(cls, base: str, aligned: str) -> Pair:
        folders = [fetch(source) for source in (base, aligned)]
        configs = [read_config(folder) for folder in folders]
        warnings = list(compare_configs(folders, configs))
        vocabularies = Vocabulary.read(folders[0]), Vocabulary.read(folders[1])
        compare_vocabularies(*vocabularies)
        before, after = (whole_of(*each) for each in zip((base, aligned), folders, configs, strict=True))
        before, after, matches = matched(before, after)
        before, fits = fitted(before, after, vocabularies)
        ends = ends_of(vocabularies, folders)
        warnings += [*matches, *fits, *compare_headers(before, after), *ends.warnings]
        return cls(before, after, tuple(warnings), beside=beside(after.shapes, after.config), ends=ends)

    @classmethod
    def _with_adapter(cls, base: str, aligned: str) -> Pair:
        folder = fetch(base)
        whole = whole_of(base, folder, read_config(folder))
        adapter_folder = fetch(aligned, (WEIGHTS, CONFIG))
        own = Vocabulary.read(folder)
        theirs = Vocabulary.read(adapter_folder) if has_tokenizer(adapter_folder) else own
        compare_vocabularies(own, theirs)
        adapter = Adapter.open(adapter_folder, whole.shapes, whole.config)
        adapted = whole.adapted(adapter)
        before, told = fitted(whole, adapted, (own, theirs))
        ends = ends_of((own, theirs), [folder, adapter_folder])
        warnings = tuple(filter(None, [other_base(adapter_folder, base), *told, *ends.warnings]))
        return cls(before, adapted, warnings, beside=beside(whole.shapes, whole.config), ends=ends)

    @property
    def endpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints that are averaged: base, then the aligned models."""
        return self.base, self.aligned, *self.further

    @property
    def parents(self) -> tuple[Checkpoint, ...]:
        """The checkpoints as they are stored: the endpoints, or what an operator made them of."""
        return self.base, *stored((self.aligned, *self.further))

    @property
    def sources(self) -> dict[str, Any]:
        """What `read` takes to open the same again, but for the precision, in plain values."""
        base, *aligned = (str(parent.folder) for parent in self.parents)
        return {"base": base, "aligned": aligned, "delta": self.delta.model_dump() if self.delta else None}

    @cached_property
    def moved(self) -> Mapping[str, float]:
        """How far each averaged tensor is from base in the aligned model where it is farthest; empty after `read`."""
        return {name: max(of_model[name] for of_model in self.moves) for name in self.moves[0]} if self.moves else {}

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of a merge: aligned's."""
        return self.aligned.config

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor that is searched, the same in every endpoint."""
        return {name: self.aligned.tensors[name].shape for name in self.names}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        """The precision of every averaged tensor in a merge: aligned's."""
        return {name: self.aligned.tensors[name].dtype for name in self.names}

    @property
    def engine_folder(self) -> Path:
        """A folder with whole weights and their configuration, which an engine can start on: aligned's, or base's."""
        return self.base.folder if self.aligned.adapter else self.aligned.folder

    @property
    def is_grown(self) -> bool:
        """Whether aligned is an adapter with rows for more tokens than base has."""
        return self.aligned.adapter is not None and bool(self.aligned.adapter.grown)

    @property
    def is_streamed(self) -> bool:
        """Whether no folder has whole weights of a merge's shapes and precision, and an engine starts on a stream."""
        return self.is_grown or self.aligned.dtype is not None or self.delta is not None

    @property
    def starts_on(self) -> int:
        """The endpoint that an engine starts on: 1 for aligned, the first of several, and 0 for base."""
        return 0 if self.aligned.adapter and not self.is_streamed else 1

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer and the chat template of a merge are: in aligned's folder where it has any."""
        return self.aligned.folder if has_tokenizer(self.aligned.folder) else self.base.folder

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors that are searched: the language model's floating-point ones, in the order of aligned's files."""
        return tuple(name for name in self.floating if name not in self.beside)

    @property
    def floating(self) -> tuple[str, ...]:
        """All that can be averaged, searched or not, in the order of aligned's files."""
        return tuple(name for name, info in self.aligned.tensors.items() if info.dtype.is_floating_point)

    def groups(self, space: SearchSpace, models: Sequence[str] = ONE_MODEL) -> Groups:
        """A search space applied to these checkpoints, with a number for every group and model that differs from base.

        Args:
            space: The search space.
            models: The names of the aligned models, where there are several.
        """
        groups = space.resolve(self.names)
        return groups.among(models, self.moves) if self.further else groups.without_still(self.moves[0])

    def numbers(self, groups: Groups) -> list[dict[str, str]]:
        """Of every aligned model, the number of each tensor that differs from base there."""
        return [
            {name: numbers[name] for name in self.names if name in numbers and of_model[name]}
            for of_model, numbers in ((each, groups.numbers(model)) for model, each in enumerate(self.moves))
        ]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of a merge on disk: that of aligned's first averaged tensor."""
        return self.aligned.tensors[self.names[0]].dtype

    @property
    def context_limit(self) -> int | None:
        """Most tokens the model takes, or None where its configuration does not say."""
        fields = text_fields(self.config)
        return next((int(fields[key]) for key in _CONTEXT_FIELDS if fields.get(key)), None)

    @property
    def vocabulary_size(self) -> int:
        """Token ids that the model knows, where `check_is_language_model` passes."""
        return int(text_fields(self.config)["vocab_size"])

    def check_is_language_model(self) -> None:
        """Refuses a model without a vocabulary.

        Raises:
            UserError: It has none.
        """
        if not isinstance(text_fields(self.config).get("vocab_size"), int):
            raise UserError(f"{self.engine_folder}: config.json has no vocab_size; only language models can be used.")

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors that are searched, of all endpoints together, as `tensors` yields them."""
        infos = (self.aligned.tensors[name] for name in self.names)
        return len(self.endpoints) * sum(math.prod(info.shape) * info.dtype.itemsize for info in infos)

    def tensors(self) -> Iterator[Streamed]:
        """Name and endpoints of every averaged tensor, read when its turn comes, in aligned's dtype."""
        return streamed(self.endpoints, self.names)

    def shards(self) -> Iterator[tuple[str, Iterator[Streamed]]]:
        """The files of aligned, each with all of its tensors, those included that are not searched.

        What aligned lacks, and has from base, comes last, and so is in the last one.
        """
        shards: dict[str, list[str]] = {}
        home, file = next(iter(self.aligned.tensors.values())).file.parent, ""
        for name, info in self.aligned.tensors.items():
            file = info.file.name if info.file.parent == home else file
            shards.setdefault(file, []).append(name)
        for file, names in shards.items():
            yield file, streamed(self.endpoints, names)

    def _operated(self, delta: Delta | None) -> Pair:
        """The same with what an operator makes of the aligned models."""
        first, *further = operate(delta, *self.endpoints) if delta else self.endpoints[1:]
        return replace(self, aligned=first, further=tuple(further), delta=delta)

    def _converted(self, dtype: str) -> Pair:
        """The same in 16 bits, where that is asked for and aligned is in more."""
        narrow: torch.dtype = self.dtype if dtype == "auto" else getattr(torch, dtype)
        if narrow.itemsize >= self.dtype.itemsize:
            return self
        before, after = self.num_bytes / 1e9, self.num_bytes / 1e9 * narrow.itemsize / self.dtype.itemsize
        told = (
            f"{'all' if self.further else 'both'} checkpoints are converted from {dtype_name(self.dtype)} to {dtype}, "
            f"and so is a merge on disk: they take {after:.1f} GB instead of {before:.1f} GB."
        )
        return replace(
            self,
            base=self.base.converted(narrow),
            aligned=self.aligned.converted(narrow),
            further=tuple(each.converted(narrow) for each in self.further),
            warnings=(*self.warnings, told),
        )
