"""Types and shapes are checked where functions of modules and classes are called.

jaxtyping's import hook has no such choice: it also decorates what is defined inside of
functions, anew each time that the outer one runs. At a millisecond each that was a
third of the suite's time, for closures whose types basedpyright checks anyway.
"""

import ast
from importlib.util import cache_from_source

from jaxtyping import _import_hook as hook

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


plain = hook.JaxtypingTransformer.visit_FunctionDef


def visit_outer(self, node):
    """A function in the source, decorated unless it is inside of another."""
    if any(isinstance(parent, FUNCTIONS) for parent in self._parents):
        return node
    return plain(self, node)


def cache_of_its_own(checker, path, debug=None):
    """Where the compiled module lies; the plain hook's is another file."""
    return cache_from_source(path, debug, optimization=f"outer{checker}")


# For modules that are imported after this one.
hook.JaxtypingTransformer.visit_FunctionDef = visit_outer
hook._optimized_cache_from_source = cache_of_its_own
