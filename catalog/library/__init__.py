"""The user's library: circuits of EvoApproxLib and of any folder with C and Verilog, in one SQLite file."""

from catalog.library.location import default_path
from catalog.library.records import Figure, Measured, Source
from catalog.library.schema import LibraryError
from catalog.library.store import Library

__all__ = ["Figure", "Library", "LibraryError", "Measured", "Source", "default_path"]
