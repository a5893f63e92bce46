"""`Pair`: base and aligned, opened, checked against each other, and streamed tensor by tensor."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints.adapter_settings import CONFIG, other_base
from ama_ray.checkpoints.checkpoint import Checkpoint, fetch, read_tensors
from ama_ray.checkpoints.compatibility import compare_configs, compare_headers, dtype_name, without_tied_copy
from ama_ray.checkpoints.completeness import check_complete
from ama_ray.checkpoints.fitting import fitted
from ama_ray.checkpoints.generation import Ends, ends_of
from ama_ray.checkpoints.lora import WEIGHTS, Adapter, is_adapter
from ama_ray.checkpoints.matching import matched
from ama_ray.checkpoints.model_config import read_config
from ama_ray.checkpoints.parts import beside, text_fields
from ama_ray.checkpoints.values import digest_of, distance, tensor_digest
from ama_ray.checkpoints.vocabulary import Vocabulary, compare_vocabularies, has_tokenizer
from ama_ray.checkpoints.weight_files import TensorInfo
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ama_ray.space.search_space import Groups, SearchSpace

__all__ = ["Checkpoint", "Pair", "TensorInfo"]

_CONTEXT_FIELDS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")


@dataclass(frozen=True)
class Pair:
    """Two checkpoints of one model, from before and after RLHF, that can be averaged.

    Attributes:
        base: The checkpoint from before RLHF.
        aligned: The checkpoint from after RLHF; shards, dtypes, tokenizer and token ids of a merge are its.
        warnings: What differs between the two and does no harm, one sentence each.
        moved: How far each averaged tensor is from base to aligned, the Euclidean norm of the difference.
        checksum: A SHA-256 of all stored values of both in their order, the same on every machine.
        checksums: The same of base and of aligned, by the names of tensors and whatever files they are in; of an
            adapter, of its files.
        beside: What is not of the language model, and so is not searched: of every such tensor, which part it is
            (`ama_ray.checkpoints.parts`).
        ends: The tokens that end a reply.
    """

    base: Checkpoint
    aligned: Checkpoint
    warnings: tuple[str, ...]
    moved: Mapping[str, float]
    checksum: str = ""
    checksums: tuple[str, str] = ("", "")
    beside: Mapping[str, str] = field(default_factory=dict)
    ends: Ends = field(default_factory=Ends)

    @classmethod
    def open(cls, base: str, aligned: str, dtype: str = "auto") -> Pair:
        """Opens two checkpoints and checks that their average makes sense, contents included, cheap checks first.

        Args:
            base: Folder or hub id of the checkpoint from before RLHF.
            aligned: Folder or hub id of the checkpoint from after RLHF, or of a LoRA adapter over base.
            dtype: The precision of a merge where it is narrower than that of aligned, as `bfloat16` for a checkpoint in
                float32: both are converted first. `auto` is aligned's.

        Raises:
            UserError: A checkpoint is missing, damaged or quantised, holds NaN or infinity, or the two do not fit
                together: architecture, configuration, vocabulary, tensor names or shapes differ, or nothing does; or
                both lack a tensor that the architecture needs.
        """
        pair = cls.read(base, aligned, dtype)
        check_complete(pair.base if pair.aligned.adapter else pair.aligned)
        return pair._with_contents_checked()

    @classmethod
    def read(cls, base: str, aligned: str, dtype: str = "auto") -> Pair:
        """Does what `open` does without a look at any value: `moved` and the checksums stay empty."""
        adapted = is_adapter(fetch(aligned))
        return (cls._with_adapter(base, aligned) if adapted else cls._of_two(base, aligned))._converted(dtype)

    @classmethod
    def _of_two(cls, base: str, aligned: str) -> Pair:
        folders = [fetch(source) for source in (base, aligned)]
        configs = [read_config(folder) for folder in folders]
        warnings = list(compare_configs(folders, configs))
        vocabularies = Vocabulary.read(folders[0]), Vocabulary.read(folders[1])
        compare_vocabularies(*vocabularies)
        before, after = (_whole(*each) for each in zip((base, aligned), folders, configs, strict=True))
        before, after, matches = matched(before, after)
        before, fits = fitted(before, after, vocabularies)
        ends = ends_of(vocabularies, folders)
        warnings += [*matches, *fits, *compare_headers(before, after), *ends.warnings]
        return cls(before, after, tuple(warnings), {}, beside=beside(after.shapes, after.config), ends=ends)

    @classmethod
    def _with_adapter(cls, base: str, aligned: str) -> Pair:
        folder = fetch(base)
        whole = _whole(base, folder, read_config(folder))
        adapter_folder = fetch(aligned, (WEIGHTS, CONFIG))
        own = Vocabulary.read(folder)
        theirs = Vocabulary.read(adapter_folder) if has_tokenizer(adapter_folder) else own
        compare_vocabularies(own, theirs)
        adapter = Adapter.open(adapter_folder, whole.shapes, whole.config)
        adapted = whole.adapted(adapter)
        before, told = fitted(whole, adapted, (own, theirs))
        ends = ends_of((own, theirs), [folder, adapter_folder])
        warnings = tuple(filter(None, [other_base(adapter_folder, base), *told, *ends.warnings]))
        return cls(before, adapted, warnings, {}, beside=beside(whole.shapes, whole.config), ends=ends)

    @property
    def endpoints(self) -> tuple[Checkpoint, Checkpoint]:
        """The checkpoints that are averaged: base, then aligned."""
        return self.base, self.aligned

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
        return self.is_grown or self.aligned.dtype is not None

    @property
    def engine_ratio(self) -> float:
        """The ratio of what an engine starts on: 1 for aligned, 0 for base."""
        return 0.0 if self.aligned.adapter and not self.is_streamed else 1.0

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

    def groups(self, space: SearchSpace) -> Groups:
        """A search space applied to this pair, with a ratio for every group that differs."""
        return space.resolve(self.names).without_still(self.moved)

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

    def tensors(self) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
        """Name, base and aligned of every averaged tensor, read when its turn comes, in aligned's dtype."""
        return self._stream(self.names)

    def shards(self) -> Iterator[tuple[str, Iterator[tuple[str, torch.Tensor, torch.Tensor]]]]:
        """The files of aligned, each with all of its tensors, those included that are not searched.

        What aligned lacks, and has from base, comes last, and so is in the last one.
        """
        shards: dict[str, list[str]] = {}
        home, file = next(iter(self.aligned.tensors.values())).file.parent, ""
        for name, info in self.aligned.tensors.items():
            file = info.file.name if info.file.parent == home else file
            shards.setdefault(file, []).append(name)
        for file, names in shards.items():
            yield file, self._stream(names)

    def _stream(self, names: Iterable[str]) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
        names = list(names)
        pairs = zip(*(endpoint.stream(names) for endpoint in self.endpoints), strict=True)
        for (name, base), (_, aligned) in pairs:
            yield name, base.to(aligned.dtype), aligned

    def _converted(self, dtype: str) -> Pair:
        """The same in 16 bits, where that is asked for and aligned is in more."""
        narrow: torch.dtype = self.dtype if dtype == "auto" else getattr(torch, dtype)
        if narrow.itemsize >= self.dtype.itemsize:
            return self
        before, after = self.num_bytes / 1e9, self.num_bytes / 1e9 * narrow.itemsize / self.dtype.itemsize
        told = (
            f"both checkpoints are converted from {dtype_name(self.dtype)} to {dtype}, and so is a merge on disk: they "
            f"take {after:.1f} GB instead of {before:.1f} GB."
        )
        return replace(
            self,
            base=self.base.converted(narrow),
            aligned=self.aligned.converted(narrow),
            warnings=(*self.warnings, told),
        )

    def _with_contents_checked(self) -> Pair:
        """Refuses values that cannot be averaged; finds out how far each tensor moved."""
        moved, identical = {}, True
        adapter = self.aligned.adapter
        digests: list[str] = [adapter.checksum] if adapter else []
        each: tuple[dict[str, str], dict[str, str]] = {}, {}
        with ThreadPoolExecutor(2) as pool:
            for name, base, aligned in self._stream(self.aligned.tensors):
                # What an adapter adds may differ in a last bit from machine to machine.
                hashed = [pool.submit(tensor_digest, tensor) for tensor in ((base,) if adapter else (base, aligned))]
                if aligned.is_floating_point():
                    identical = identical and (name in self.beside or torch.equal(base, aligned))
                    moved[name] = distance(base, aligned)
                    # A look at each of them takes as long again. Towers may hold bounds that are infinite.
                    if name not in self.beside and not math.isfinite(moved[name]):
                        self._check_finite(name, base, aligned)
                elif not torch.equal(base, aligned):
                    raise UserError(
                        f"{name}: the two checkpoints hold different {dtype_name(aligned.dtype)} values, which cannot "
                        "be averaged; make them equal."
                    )
                for values, digest in zip(each, hashed, strict=False):
                    values[name] = digest.result()
                    digests.append(f"{name} {values[name]}")
        if identical:
            raise UserError(
                f"{self.base.folder} and {self.aligned.folder}: all tensors that are searched are equal, so there is "
                "nothing to search; check that base is from before and aligned from after RLHF."
            )
        own = [digest_of(sorted(values.items())) for values in each]
        return replace(
            self,
            moved=moved,
            checksum=digest_of(digests),
            checksums=(own[0], adapter.checksum if adapter else own[1]),
        )

    def _check_finite(self, name: str, base: torch.Tensor, aligned: torch.Tensor) -> None:
        for checkpoint, tensor in zip(self.endpoints, (base, aligned), strict=True):
            # The extremes are NaN if any value is, and they cost no temporary.
            if tensor.numel() and not all(extreme.isfinite() for extreme in tensor.aminmax()):
                raise UserError(
                    f"{checkpoint.source(name)}: {name} holds NaN or infinity in {dtype_name(tensor.dtype)}; "
                    "use a sound checkpoint."
                )


def _whole(source: str, folder: Path, config: dict[str, Any]) -> Checkpoint:
    """A checkpoint with weights of its own, which are fetched now."""
    return without_tied_copy(Checkpoint(folder, read_tensors(source), config))
