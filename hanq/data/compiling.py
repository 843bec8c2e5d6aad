"""Compiled entry points that hold everything they call, so that what runs never depends on what else was compiled.

Numba gives the functions that an entry point calls weak symbols, and LLVM's loader takes the first definition of a weak
symbol that it knows. The process that compiles has each of those functions as a module of its own too, optimised apart
from its caller; a process that reads the cache has only the caller's copy. Both are right, and with reassociated sums they
differ in the last bits. Private symbols leave nothing to be chosen, and as nothing else runs the functions that only entry
points call (`part`), no machine code is made for them, which halves the time that compiling takes.
"""

from functools import partial

import numba
from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from hanq.data.caching import njit


class WholeLibrary(JITCodeLibrary):
    """Machine code in which only the entry point has a name that others see."""

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
    """Code that becomes machine code where it is linked, and only there: without an address, and so without an environment."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        return 0

    @property
    def codegen(self):
        """What Numba asks to tell a function's address where its environment lies."""
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
"""For functions that are called by compiled code alone. They borrow their arrays (_nrt) and cannot make new ones."""
