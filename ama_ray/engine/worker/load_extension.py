"""How weights come into a live model: vLLM's own loading, and what of the model a swap has to write.

Most of a model is parameters that hold elements of the checkpoint in vLLM's own order; a swap interpolates these where
they lie. Some hold something else: Mamba's `A` is minus the exponential of what is stored, and a norm that is stored in
float32 is rounded at loading. What these come from is merged as it is stored, like an export, and handed over to the
model's own loading after each swap. In the endpoints it stands among the parameters, with a name that `STORED` begins.
"""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine.endpoints import Span, StoredTensor, runs
from ama_ray.engine.worker import second_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from ama_ray.checkpoints.checkpoint import Checkpoint

STORED = "checkpoint:"
"""What the name in the endpoints begins with of a tensor that is handed over; a parameter's name has no colon."""
MOST_HANDED_OVER = 2**22
"""Elements of a tensor of the checkpoint up to which it is tried whether vLLM transforms it."""


class SwapError(RuntimeError):
    """The live weights are not the interpolation that was asked for; the engine must not be scored."""


class LoadExtension:
    """Mixed into vLLM's worker by `worker_extension_cls`; called through `collective_rpc`."""

    model_runner: Any
    vllm_config: Any
    device: torch.device
    reload_weights: Any
    """The worker's own, which sets vLLM's configuration for the layers that ask for it while they load."""
    _live_ratios: Mapping[str, float]
    """What the last swap made live; empty where that is not known."""
    _loaded_buffers: frozenset[str] = frozenset()
    """The buffers that vLLM loads from checkpoints, as it does `layer_scalar` of Gemma 4: swapped as parameters are."""
    _stored_tensors: Mapping[str, torch.Tensor] = MappingProxyType({})
    """What is handed over after a swap, by its name in the checkpoint, in shape and precision as it is stored."""
    _derived: frozenset[str] = frozenset()
    """The parameters that these make up, which a swap does not write itself."""
    _loads_anew: bool = False
    """Whether vLLM's reloading leaves parameters out that its first load fills."""

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Streams a checkpoint into the live weights tensor by tensor, vLLM's post-processing included."""
        self._load(checkpoint.stream)

    def parameter_bytes(self) -> dict[str, int]:
        """Size of every live parameter, and of every buffer that is loaded as one."""
        return {name: parameter.nbytes for name, parameter in self._weights().items()}

    def snapshot(
        self, names: Collection[str], narrow: torch.dtype, spans: Mapping[str, tuple[Span, ...]] | None
    ) -> dict[str, StoredTensor]:
        """Some live parameters, or of each only the elements in its spans (`StoredTensor.of`)."""
        weights = self._weights()
        return {
            name: StoredTensor.of(weights[name], kept_in(name, weights[name], narrow), spans[name] if spans else None)
            for name in names
        }

    def find_spans(
        self,
        shapes: Mapping[str, Sequence[int]],
        dtypes: Mapping[str, torch.dtype],
        numbers: Sequence[Mapping[str, str]],
    ) -> list[dict[str, tuple[Span, ...]]]:
        """Finds which elements of the engine's parameters are merged by which numbers.

        The engine fuses, shards, transposes and pads the tensors of a checkpoint in its own way. Rather than
        repeating that, this loads a checkpoint whose tensors hold labels of their numbers, and reads the result.
        Destroys the live weights.

        Args:
            shapes: Shape by tensor name of the checkpoint.
            dtypes: Precision, likewise.
            numbers: Of every aligned model, the number of each tensor, likewise; those that have none are in no span.

        Returns:
            The spans of every aligned model.

        Raises:
            SwapError: A parameter holds something else than these labels and zeros, and is not made of tensors that
                can be handed over.
        """
        group_of = {name: tuple(each.get(name, "") for each in numbers) for of_model in numbers for name in of_model}
        groups = sorted(set(group_of.values()))
        label = {group: index + 1 for index, group in enumerate(groups)}
        dtype = self.model_runner.model_config.dtype
        if len(groups) > 2 / torch.finfo(dtype).eps:
            raise ValueError(f"{len(groups)} groups are more than {dtype} can count; use fewer groups or float32")
        labels = {0.0, *map(float, label.values())}

        def labelled() -> Iterator[tuple[str, torch.Tensor]]:
            for name, shape in shapes.items():
                yield (
                    name,
                    torch.full(tuple(shape), float(label[group_of[name]] if name in group_of else 0), dtype=dtype),
                )

        def holds_labels(tensor: torch.Tensor) -> bool:
            return labels.issuperset(value for value, _, _ in runs(tensor))

        self._loaded_buffers, self._stored_tensors, self._derived = frozenset(), {}, frozenset()
        for parameter in self._weights().values():
            parameter.zero_()
        before = {name: buffer.clone() for name, buffer in self._buffers()}
        self._load(labelled)
        self._loaded_buffers = frozenset(
            name for name, buffer in self._buffers() if not torch.equal(buffer, before[name]) and holds_labels(buffer)
        )
        transformed = {name for name, weight in self._weights().items() if not holds_labels(weight)}
        has_tried = self._hand_over_what_is_not_held(shapes, dtypes, group_of, transformed)
        if odd := sorted(transformed - self._derived):
            raise SwapError(f"vLLM transforms {odd[0]} at loading, so that its groups cannot be told apart")
        if has_tried:
            self._load(labelled)
        # Zero is what no group has: tensors without one, and padding of the engine's own, equal in all endpoints.
        found = {
            name: [(start, end, groups[int(value) - 1]) for value, start, end in runs(weight) if value]
            for name, weight in self._weights().items()
        }
        return [
            {name: tuple(Span(a, b, group[model]) for a, b, group in of if group[model]) for name, of in found.items()}
            for model in range(len(numbers))
        ]

    def _hand_over_what_is_not_held(
        self,
        shapes: Mapping[str, Sequence[int]],
        dtypes: Mapping[str, torch.dtype],
        group_of: Collection[str],
        transformed: Collection[str],
    ) -> bool:
        """Decides which tensors are handed over: those of transformed parameters, and those of more precision.

        More precision than most elements of the checkpoint have, that is: where all of it has more than the engine,
        both checkpoints are converted before they are merged, in an export too (`Pair.open`). A parameter that others
        make up besides stays as it is.

        Returns:
            Whether tensors were tried, so that the live weights are no longer the labels.
        """
        elements: Counter[torch.dtype] = Counter()
        for name, shape in shapes.items():
            elements[dtypes[name]] += torch.Size(shape).numel()
        usual = elements.most_common(1)[0][0]
        made_of: dict[str, set[str]] = {}
        has_tried = False
        for name in group_of:
            is_wide = dtypes[name].itemsize > usual.itemsize
            if is_wide or (transformed and torch.Size(shapes[name]).numel() <= MOST_HANDED_OVER):
                filled = self._try({name: torch.ones(tuple(shapes[name]), dtype=dtypes[name])})
                has_tried = True
                if filled and (is_wide or not filled.isdisjoint(transformed)):
                    made_of[name] = filled
        if not made_of:
            return has_tried

        def filled_with(value: float) -> dict[str, torch.Tensor]:
            self._fill({name: torch.full(tuple(shapes[name]), value, dtype=dtypes[name]) for name in made_of})
            weights = self._weights()
            return {name: weights[name].clone() for names in made_of.values() for name in names}

        ones, twos = filled_with(1.0), filled_with(2.0)
        whole = {name for name, values in ones.items() if bool((values != twos[name]).all())}
        made_of = {name: filled for name, filled in made_of.items() if filled <= whole}
        self._stored_tensors = {
            name: torch.zeros(tuple(shapes[name]), dtype=dtypes[name], device=self.device) for name in made_of
        }
        self._derived = frozenset(name for filled in made_of.values() for name in filled)
        return True

    def _try(self, tensors: Mapping[str, torch.Tensor]) -> set[str]:
        """Does what `_fill` does; nothing where a parameter is in a layout that its loader cannot write to."""
        try:
            return self._fill(tensors)
        except Exception:  # loaders of models raise what they like, most of them for a shape
            return set()

    def _load(self, tensors: Callable[[], Iterable[tuple[str, torch.Tensor]]]) -> None:
        """Has vLLM load tensors of a checkpoint's names and shapes into the live weights, as it loads a checkpoint.

        Args:
            tensors: Gives them, twice where vLLM's reloading turns out to leave parameters alone.
        """
        self._live_ratios = {}
        if not self._loads_anew:
            firsts = [weight.view(-1)[:1] for weight in self._weights().values() if weight.is_floating_point()]
            for first in firsts:
                first.fill_(torch.nan)
            self.reload_weights(weights_iterator=self._noted(tensors()))
            self._loads_anew = any(bool(first.isnan()) for first in firsts)
        if self._loads_anew:
            self._load_anew(self._noted(tensors()))

    def _noted(self, tensors: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """The same, with what is handed over kept as it passes."""
        for name, tensor in tensors:
            if name in self._stored_tensors:
                self._stored_tensors[name].copy_(tensor)
            yield name, tensor

    def _load_anew(self, tensors: Iterator[tuple[str, torch.Tensor]]) -> None:
        """Loads into a second model, as an engine does at its start, and copies what has come of it.

        Raises:
            SwapError: There is no room for a second set of weights, which placement does not know of: that vLLM needs
                one shows once it has started.
        """
        size = sum(parameter.nbytes for parameter in self.model_runner.get_model().parameters())
        if size > (free := second_model.free_bytes(self.device)):
            raise SwapError(
                "vLLM loads some of this model's parameters at its start alone, so another checkpoint takes a second "
                f"set of its weights meanwhile, {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; lower "
                "engine.gpu_memory_utilization, or use a larger machine"
            )
        model = second_model.load(self.vllm_config, self.model_runner.model_config, self.device, tensors)
        live = _named_tensors(self.model_runner.get_model())
        for name, tensor in _named_tensors(model).items():
            live[name].copy_(tensor)

    def _fill(self, tensors: Mapping[str, torch.Tensor]) -> set[str]:
        """Has the model's own loading write some tensors of a checkpoint; returns which parameters it wrote to."""
        from vllm.config import set_current_vllm_config

        with set_current_vllm_config(self.vllm_config), torch.no_grad():
            filled: Collection[str] | None = self.model_runner.get_model().load_weights(iter(tensors.items()))
        return set(filled or ()) & {name for name, _ in self.model_runner.get_model().named_parameters()}

    def _buffers(self) -> list[tuple[str, torch.Tensor]]:
        """The buffers that could be loaded from a checkpoint, by name."""
        named = self.model_runner.get_model().named_buffers()
        return [(name, buffer) for name, buffer in named if buffer.is_floating_point() and buffer.is_contiguous()]

    def _weights(self) -> dict[str, torch.Tensor]:
        """What a swap writes: live parameters, buffers that are loaded as they are, and what is handed over.

        What lies in the memory of another one, as tied weights and the halves that MLA computes with, is not repeated.

        Raises:
            SwapError: A parameter is empty: a kernel packed it away, and a swap could not reach it.
        """
        parameters = {name: parameter.data for name, parameter in self.model_runner.get_model().named_parameters()}
        weights = parameters | {name: buffer for name, buffer in self._buffers() if name in self._loaded_buffers}
        owner = {
            tensor.untyped_storage().data_ptr(): name
            for name, tensor in reversed(weights.items())
            if tensor.is_contiguous() and tensor.nbytes == tensor.untyped_storage().nbytes()
        }
        own = {
            name: tensor
            for name, tensor in weights.items()
            if owner.get(tensor.untyped_storage().data_ptr(), name) == name and name not in self._derived
        }
        packed = [name for name, tensor in own.items() if tensor.numel() == 0 or not tensor.is_contiguous()]
        if packed:
            raise SwapError(f"vLLM keeps these parameters where a swap cannot reach them: {', '.join(packed)}")
        return own | {_key(name, tensor.shape): tensor for name, tensor in self._stored_tensors.items()}


def kept_in(name: str, weight: torch.Tensor, narrow: torch.dtype) -> torch.dtype:
    """In which precision an endpoint keeps a weight where that loses nothing.

    Args:
        name: In the endpoints.
        weight: Live.
        narrow: The precision of the checkpoint. What is handed over stays in that of its merge.
    """
    return weight.dtype if name.startswith(STORED) else narrow


def stored_shapes(names: Iterable[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Of the names in endpoints that are handed over: the name in the checkpoint, and the shape there."""
    found = {name: name.removeprefix(STORED).rpartition(":") for name in names if name.startswith(STORED)}
    return {
        name: (stored, tuple(int(size) for size in shape.split("x") if size))
        for name, (stored, _, shape) in found.items()
    }


def _key(name: str, shape: Sequence[int]) -> str:
    """The name in the endpoints of a tensor that is handed over; endpoints are flat, so it says the shape."""
    return f"{STORED}{name}:{'x'.join(map(str, shape))}"


def _named_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return {name: tensor.data for name, tensor in named}
