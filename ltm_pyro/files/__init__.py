"""Files of a run and of a user, read with limits on their size and checked against a schema before they are used.

Every reader raises `InputError` with one line: the file, the place in it, what was expected, and the remedy.
"""

from ltm_pyro.files.links import refuse_links
from ltm_pyro.files.opening import open_regular, read_bytes, read_text
from ltm_pyro.files.parsing import parse_json, parse_yaml, read_json, read_yaml
from ltm_pyro.files.schema import validate
from ltm_pyro.files.writing import finite, write_bytes, write_text

__all__ = [
    "finite",
    "open_regular",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_json",
    "read_text",
    "read_yaml",
    "refuse_links",
    "validate",
    "write_bytes",
    "write_text",
]
