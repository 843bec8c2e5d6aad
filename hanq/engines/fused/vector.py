"""A vector type of sixteen numbers, for compiled loops whose vectorisation must not be left to chance.

LLVM turns an array loop into vector instructions only if it can prove that this is allowed, and otherwise keeps sums in memory.
With `Vector`, a loop states what stays in registers: it is one 512-bit register of float32, or two of 256 bits or four of 128,
depending on the processor.

The length of a tuple of vectors is part of its type, so loops over it are unrolled: code for three inputs differs from code for
four, without branches.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16
# Reordering sums allows loops to be vectorised; NaN and infinity keep their meaning.
FLAGS = ("reassoc", "contract", "nsz", "arcp")


def padded(size):
    """Round a size up to whole vectors."""
    return -(-size // LANES) * LANES


class Vector(types.Type):
    """Numba's type of `LANES` numbers of one float type."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        element = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, LANES))


def spread(builder, scalar):
    """Copy a scalar to every lane."""
    pair = ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined)
    first = builder.insert_element(pair, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def multiply_add(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=FLAGS), c, flags=FLAGS)


def pointer(context, builder, array_type, array, row, column):
    """Return the address of array[row, column] in a contiguous array, or in the transpose of one, without bounds checks."""
    array = context.make_array(array_type)(context, builder, array)
    height, width = cgutils.unpack_tuple(builder, array.shape)
    if array_type.layout == "F":
        row, column, width = column, row, height
    return builder.gep(array.data, [builder.add(builder.mul(row, width), column)])


def element(context, builder, array_type, array, row, column):
    """array[row, column] in every lane."""
    return spread(builder, builder.load(pointer(context, builder, array_type, array, row, column)))


def consecutive(context, builder, array_type, array, row, column):
    """Address of array[row, column : column + LANES] as one vector."""
    address = pointer(context, builder, array_type, array, row, column)
    return builder.bitcast(address, ir.VectorType(address.type.pointee, LANES).as_pointer())


def _operator(symbol, instruction):
    """Arithmetic between vectors, and between a vector and a scalar in every lane."""

    @type_callable(symbol)
    def typer(context):
        def result(a, b):
            vectors = [x for x in (a, b) if isinstance(x, Vector)]
            if vectors and all(isinstance(x, Vector | types.Float) for x in (a, b)):
                return vectors[0]

        return result

    def lower(context, builder, signature, values):
        dtype = signature.return_type.dtype
        a, b = (
            value if isinstance(kind, Vector) else spread(builder, context.cast(builder, value, kind, dtype))
            for kind, value in zip(signature.args, values, strict=True)
        )
        return getattr(builder, instruction)(a, b, flags=FLAGS)

    for kinds in ((Vector, Vector), (types.Float, Vector), (Vector, types.Float)):
        lower_builtin(symbol, *kinds)(lower)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")


@intrinsic
def load(typing, array, row, column):
    """array[row, column : column + LANES], unchecked."""

    def lower(context, builder, signature, values):
        address = consecutive(context, builder, array, *values)
        return builder.load(address, align=array.dtype.bitwidth // 8)

    return Vector(array.dtype)(array, types.intp, types.intp), lower


@intrinsic
def store(typing, array, row, column, vector):
    """array[row, column : column + LANES] = vector, unchecked."""

    def lower(context, builder, signature, values):
        address = consecutive(context, builder, array, *values[:3])
        builder.store(values[3], address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), lower


@intrinsic
def at(typing, array, row, column):
    """array[row, column] in every lane, unchecked."""

    def lower(context, builder, signature, values):
        return element(context, builder, array, *values)

    return Vector(array.dtype)(array, types.intp, types.intp), lower


@intrinsic
def filled(typing, array, value):
    """A value in every lane of a vector like the array's."""

    def lower(context, builder, signature, values):
        return spread(builder, context.cast(builder, values[1], value, array.dtype))

    return Vector(array.dtype)(array, value), lower


@intrinsic
def at_least(typing, x, floor):
    """Return max(x, floor) in every lane, and NaN for NaN. A floor of 0 makes this the ReLU."""

    def lower(context, builder, signature, values):
        least = spread(builder, context.cast(builder, values[1], floor, x.dtype))
        return builder.select(builder.fcmp_ordered("<", values[0], least), least, values[0])

    return x(x, floor), lower


@intrinsic
def gate(typing, x, gradient):
    """Return the gradient of relu(x): `gradient` where x > 0 or NaN, otherwise 0."""

    def lower(context, builder, signature, values):
        zero = ir.Constant(values[0].type, None)
        return builder.select(builder.fcmp_unordered(">", values[0], zero), values[1], zero)

    return x(x, gradient), lower


@intrinsic
def zeros(typing, array, like):
    """Return as many vectors of zeros as the tuple `like` has elements, of the array's type."""
    result = types.UniTuple(Vector(array.dtype), len(like))

    def lower(context, builder, signature, values):
        zero = ir.Constant(context.get_value_type(Vector(array.dtype)), None)
        return context.make_tuple(builder, result, [zero] * len(like))

    return result(array, like), lower


@intrinsic
def load_each(typing, array, row, column, like):
    """(load(array, row, column), load(array, row + 1, column), ...), one for each of `like`."""
    result = types.UniTuple(Vector(array.dtype), len(like))

    def lower(context, builder, signature, values):
        rows = [builder.add(values[1], values[1].type(k)) for k in range(len(like))]
        vectors = [
            builder.load(consecutive(context, builder, array, values[0], row, values[2]), align=array.dtype.bitwidth // 8) for row in rows
        ]
        return context.make_tuple(builder, result, vectors)

    return result(array, types.intp, types.intp, like), lower


@intrinsic
def store_each(typing, array, row, column, vectors):
    """store(array, row, column, vectors[0]), store(array, row + 1, column, vectors[1]), ..."""

    def lower(context, builder, signature, values):
        for k, vector in enumerate(cgutils.unpack_tuple(builder, values[3], len(vectors))):
            row = builder.add(values[1], values[1].type(k))
            address = consecutive(context, builder, array, values[0], row, values[2])
            builder.store(vector, address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors), lower


@intrinsic
def affine(typing, constant, array, row, column, vectors):
    """constant + array[row, column] * vectors[0] + array[row + 1, column] * vectors[1] + ..."""

    def lower(context, builder, signature, values):
        total, array_value, row, column, tuple_value = values
        for k, vector in enumerate(cgutils.unpack_tuple(builder, tuple_value, len(vectors))):
            factor = element(context, builder, array, array_value, builder.add(row, row.type(k)), column)
            total = multiply_add(builder, factor, vector, total)
        return total

    return constant(constant, array, types.intp, types.intp, vectors), lower


@intrinsic
def add_multiples(typing, totals, array, row, column, vector):
    """(totals[0] + array[row, column] * vector, totals[1] + array[row + 1, column] * vector, ...)"""

    def lower(context, builder, signature, values):
        totals_value, array_value, row, column, vector_value = values
        sums = []
        for k, total in enumerate(cgutils.unpack_tuple(builder, totals_value, len(totals))):
            factor = element(context, builder, array, array_value, builder.add(row, row.type(k)), column)
            sums.append(multiply_add(builder, factor, vector_value, total))
        return context.make_tuple(builder, totals, sums)

    return totals(totals, array, types.intp, types.intp, vector), lower
