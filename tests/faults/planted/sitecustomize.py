"""Python runs this at every start where this folder is on PYTHONPATH: plants what PLANTED_DEFECTS names in the gateway.

Only roles of the gateway get it (`python -m gateway.cli run ROLE`); see tests/faults/planting.py.
"""

import os
import sys

_words = sys.orig_argv
if "gateway.cli" in _words and "run" in _words and os.environ.get("PLANTED_DEFECTS"):
    from tests.faults.planting import plant

    plant(os.environ["PLANTED_DEFECTS"].split(","), role=_words[_words.index("run") + 1])
