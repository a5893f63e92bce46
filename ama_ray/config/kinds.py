"""`Kinds`: what an entry of a run file may be, each kind named by the address of its settings."""

from __future__ import annotations

from functools import cached_property, reduce
from operator import or_
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Tag, TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import Discriminator, ValidationInfo

    from ama_ray.config.fields import Model


class Kinds:
    """The kinds of one part of the run file.

    The settings of a kind stand beside its code, which needs more than this package may import. They are therefore
    known here by their address, as a sampler or a callback of the user is, and loaded when the first run file is read.

    Attributes:
        addresses: By the name of a kind, the class of its settings as `module:class`.
        others: What an entry may be besides, by the tag that the discriminator gives.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        discriminator: Discriminator,
        others: Mapping[str, type[Model]] | None = None,
    ) -> None:
        """Notes the kinds, and loads none.

        Args:
            addresses: By the name of a kind, the class of its settings as `module:class`.
            discriminator: It tells the name of the kind of an entry.
            others: What an entry may be besides, by the tag that the discriminator gives.
        """
        self.addresses = addresses
        self._discriminator = discriminator
        self.others = others or {}

    @cached_property
    def settings(self) -> dict[str, type[Model]]:
        """The classes of the settings, by the name of the kind."""
        return {name: resolve_name(address) for name, address in self.addresses.items()}

    @property
    def _tagged(self) -> dict[str, type[Model]]:
        return {**self.settings, **self.others}

    @property
    def each(self) -> list[type[Model]]:
        """The classes of all that an entry may be."""
        return list(self._tagged.values())

    def settings_of(self, tag: str) -> type[Model]:
        """The class of the settings of an entry, by the tag that the discriminator gives."""
        return self._tagged[tag]

    def validate(self, value: Any, info: ValidationInfo) -> Any:
        """Makes settings of the right class from an entry; for `PlainValidator`.

        Raises:
            ValidationError: There is no such kind, or a field is wrong.
        """
        return self._adapter.validate_python(value, context=info.context)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        union = reduce(or_, (Annotated[each, Tag(name)] for name, each in self._tagged.items()))
        tagged: Any = Annotated[union, self._discriminator]
        return TypeAdapter(tagged)
