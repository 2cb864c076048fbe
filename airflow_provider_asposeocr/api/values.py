"""
What this package hands from room to room: values that do not change.

They are ``msgspec`` structs, which Airflow brings: a DAG file pays for each class at every parse, and a dataclass costs
twenty times as much to define.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Value(msgspec.Struct, frozen=True):
    """
    Base of all values: compared and hashed by what is in them, and without a secret or a document in their ``repr``.

    Changed copies are made by ``msgspec.structs.replace``.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ()
    """The names of the fields that stand in no ``repr``, and so in no log: secrets, documents, recognized text."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec's own says all, and `rich` shows the locals of a traceback by it.
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in self.UNSAID]
