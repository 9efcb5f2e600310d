"""Arrays in compiled code without what they cost there."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

# What :func:`pointer` returns: indexable, without the reference counts and sign checks of an array, which
# would cost the kernels three times their work.
Pointer = Any


def _address(_context: Any, array: types.Array) -> tuple[Any, Any]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), emit


# In compiled code: the address of an array's first element. The caller keeps the array meanwhile.
pointer: Any = intrinsic(_address)
