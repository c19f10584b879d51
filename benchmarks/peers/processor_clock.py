"""``glioseg`` as ever, but the clock of its training is that of the processor.

On a machine that others share, ``train.max_minutes`` on the wall gives whoever comes at a quiet hour more training.
python processor_clock.py train RECIPE …
"""

from __future__ import annotations

import time
from types import SimpleNamespace

from glioseg.cli.app import main
from glioseg.training import loop

if __name__ == "__main__":
    loop.time = SimpleNamespace(monotonic=time.process_time)  # type: ignore[assignment]
    main()
