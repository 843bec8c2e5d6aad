"""A vector type, for compiled loops whose vectorisation must not be left to chance.

LLVM turns an array loop into vector instructions only if it can prove that this is allowed, and otherwise keeps sums in memory.
With `Vector`, a loop states what stays in registers. How many numbers a vector has depends on the processor: sixteen float32 are
one register of AVX-512, which has 32 of them; others have registers of eight or four, and mostly no more than 16, so that there
vectors of eight keep a loop's sums in registers where vectors of sixteen would not.

The length of a tuple of vectors is part of its type, so loops over it are unrolled: code for three inputs differs from code for
four, without branches.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16  # memory is padded to whole vectors of this size
WIDTH = LANES if "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2] else LANES // 2  # of the vectors in most loops
# Reordering sums allows loops to be vectorised; NaN and infinity keep their meaning.
FLAGS = ("reassoc", "contract", "nsz", "arcp")


def padded(size):
    """Round a size up to whole vectors."""
    return -(-size // LANES) * LANES


class Vector(types.Type):
    """Numba's type of so many numbers of one float type."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        element = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def spread(builder, scalar, lanes):
    """Copy a scalar to every lane."""
    pair = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(pair, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def multiply_add(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=FLAGS), c, flags=FLAGS)


def pointer(context, builder, array_type, array, row, column):
    """Return the address of array[row, column] in a contiguous array, or in the transpose of one, without bounds checks."""
    array = context.make_array(array_type)(context, builder, array)
    height, width = cgutils.unpack_tuple(builder, array.shape)
    if array_type.layout == "F":
        row, column, width = column, row, height
    return builder.gep(array.data, [builder.add(builder.mul(row, width), column)])


def element(context, builder, array_type, place, lanes):
    """array[row, column] in every lane, where place = (array, row, column)."""
    return spread(builder, builder.load(pointer(context, builder, array_type, *place)), lanes)


def consecutive(context, builder, array_type, place, lanes):
    """Address of array[row, column : column + lanes] as one vector, where place = (array, row, column)."""
    address = pointer(context, builder, array_type, *place)
    return builder.bitcast(address, ir.VectorType(address.type.pointee, lanes).as_pointer())


def loaded(context, builder, array_type, place, lanes):
    """array[row, column : column + lanes] as one vector, where place = (array, row, column)."""
    return builder.load(consecutive(context, builder, array_type, place, lanes), align=array_type.dtype.bitwidth // 8)


def further_down(builder, place, rows):
    """The place some rows further down."""
    array, row, column = place
    return array, builder.add(row, row.type(rows)), column


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
        dtype, lanes = signature.return_type.dtype, signature.return_type.lanes
        a, b = (
            value if isinstance(kind, Vector) else spread(builder, context.cast(builder, value, kind, dtype), lanes)
            for kind, value in zip(signature.args, values, strict=True)
        )
        return getattr(builder, instruction)(a, b, flags=FLAGS)

    for kinds in ((Vector, Vector), (types.Float, Vector), (Vector, types.Float)):
        lower_builtin(symbol, *kinds)(lower)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")


def reads(read, lanes):
    """Return the function that makes a vector of a given number of lanes from array[row, column] on, unchecked.

    read: `loaded` for consecutive numbers, `element` for the same number in every lane.
    """

    @intrinsic
    def vector_at(typing, array, row, column):
        def lower(context, builder, signature, place):
            return read(context, builder, array, place, lanes)

        return Vector(array.dtype, lanes)(array, types.intp, types.intp), lower

    return vector_at


def fills(lanes):
    """Return `filled` and `zeros` for vectors of a given number of lanes."""

    @intrinsic
    def filled(typing, array, value):
        """A value in every lane of a vector of the array's type."""

        def lower(context, builder, signature, values):
            return spread(builder, context.cast(builder, values[1], value, array.dtype), lanes)

        return Vector(array.dtype, lanes)(array, value), lower

    @intrinsic
    def zeros(typing, array, like):
        """Return as many vectors of zeros as the tuple `like` has elements, of the array's type."""
        result = types.UniTuple(Vector(array.dtype, lanes), len(like))

        def lower(context, builder, signature, values):
            zero = ir.Constant(context.get_value_type(Vector(array.dtype, lanes)), None)
            return context.make_tuple(builder, result, [zero] * len(like))

        return result(array, like), lower

    return filled, zeros


load, at = reads(loaded, WIDTH), reads(element, WIDTH)
filled, zeros = fills(WIDTH)


@intrinsic
def load_each(typing, array, row, column, like):
    """(load(array, row, column), load(array, row + 1, column), ...), one for each of `like`."""
    result = types.UniTuple(Vector(array.dtype, WIDTH), len(like))

    def lower(context, builder, signature, values):
        places = [further_down(builder, values[:3], k) for k in range(len(like))]
        return context.make_tuple(builder, result, [loaded(context, builder, array, place, WIDTH) for place in places])

    return result(array, types.intp, types.intp, like), lower


@intrinsic
def store(typing, array, row, column, vector):
    """array[row, column : column + lanes] = vector, unchecked."""

    def lower(context, builder, signature, values):
        address = consecutive(context, builder, array, values[:3], vector.lanes)
        builder.store(values[3], address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), lower


@intrinsic
def at_least(typing, x, floor):
    """Return max(x, floor) in every lane, and NaN for NaN. A floor of 0 makes this the ReLU."""

    def lower(context, builder, signature, values):
        least = spread(builder, context.cast(builder, values[1], floor, x.dtype), x.lanes)
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
def store_each(typing, array, row, column, vectors):
    """store(array, row, column, vectors[0]), store(array, row + 1, column, vectors[1]), ..."""

    def lower(context, builder, signature, values):
        for k, vector in enumerate(cgutils.unpack_tuple(builder, values[3], len(vectors))):
            address = consecutive(context, builder, array, further_down(builder, values[:3], k), vectors.dtype.lanes)
            builder.store(vector, address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors), lower


@intrinsic
def affine(typing, constant, array, row, column, vectors):
    """constant + array[row, column] * vectors[0] + array[row + 1, column] * vectors[1] + ..."""

    def lower(context, builder, signature, values):
        total, *place, tuple_value = values
        for k, vector in enumerate(cgutils.unpack_tuple(builder, tuple_value, len(vectors))):
            factor = element(context, builder, array, further_down(builder, place, k), constant.lanes)
            total = multiply_add(builder, factor, vector, total)
        return total

    return constant(constant, array, types.intp, types.intp, vectors), lower


@intrinsic
def add_multiples(typing, totals, array, row, column, vector):
    """(totals[0] + array[row, column] * vector, totals[1] + array[row + 1, column] * vector, ...)"""

    def lower(context, builder, signature, values):
        totals_value, *place, vector_value = values
        sums = []
        for k, total in enumerate(cgutils.unpack_tuple(builder, totals_value, len(totals))):
            factor = element(context, builder, array, further_down(builder, place, k), vector.lanes)
            sums.append(multiply_add(builder, factor, vector_value, total))
        return context.make_tuple(builder, totals, sums)

    return totals(totals, array, types.intp, types.intp, vector), lower
