"""How is a secret kept out of what people read?"""

from __future__ import annotations


class Secret(str):
    """Text that may be sent but is not shown: its `repr` is mute, and so is that of whatever holds it.

    It is a `str`, so that headers and other libraries take it. `str(...)`, `print` and formatting give the text itself.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"
