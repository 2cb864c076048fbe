"""How our names are spelt on the wire."""

from __future__ import annotations

import functools

from pydantic.alias_generators import to_camel

wire_name = functools.cache(to_camel)
"""``language_code`` as ``languageCode``. Remembered: pydantic asks again for each field in subclasses of a model."""
