"""Decorators for compiled functions that run the same machine code in every process.

Numba links the functions that an entry point calls through weak symbols, and LLVM's loader uses the first definition of a
weak symbol that it meets. The process that compiles also holds each of those functions as a separate module, optimised on
its own; a process that loads the entry point from the cache holds only the copy inside the entry point. Both copies are
correct, but sums are reassociated differently, so that results differ in their last bits. An `entry_point` therefore makes
the symbols of its copies private. A `part` is a function that only compiled code calls: it gets no machine code of its own,
which halves compile time.
"""

from functools import partial

import numba
from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from hanq.data.foundations.caching import njit


class WholeLibrary(JITCodeLibrary):
    """Machine code in which every function but the entry point is private."""

    def _optimize_final_module(self):
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._optimize_final_module()


class WholeCompiler(Compiler):
    """Numba's compiler, writing to a `WholeLibrary`."""

    def compile_extra(self, func):
        self.state.library = WholeLibrary(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class PartLibrary(JITCodeLibrary):
    """Code that becomes machine code only as part of the entry points that link it; on its own it has no address."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        return 0

    @property
    def codegen(self):
        """Numba calls `codegen.set_env` with the function's address, of which there is none here."""
        return self

    def set_env(self, name, environment):
        pass


class PartCompiler(Compiler):
    """Numba's compiler, writing to a `PartLibrary`."""

    def compile_extra(self, func):
        self.state.library = PartLibrary(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


entry_point = partial(njit, nogil=True, cache=True, pipeline_class=WholeCompiler)
part = partial(numba.njit, no_cpython_wrapper=True, no_cfunc_wrapper=True, pipeline_class=PartCompiler, _nrt=False)
"""For functions that only compiled code calls. They borrow their arrays and cannot allocate new ones (`_nrt=False`)."""
