"""What every view of an object's JSON is: some of its fields, read and never written back."""

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Unknown fields are skipped: admission has looked at them."""
