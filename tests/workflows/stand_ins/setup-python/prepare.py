"""Make the action's environment in no time, from the packages that the tests themselves run with.

It is what `scripts/make_venv.py` finds current: made for the same pins, project file and
Python. So the step that installs them has nothing to do, as in a second use of the action
in one job.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

project = Path(os.environ["STAND_IN_PREPARED"])
sys.path.insert(0, str(project))

from scripts import make_venv  # noqa: E402 - found only now

environment = Path(os.environ["RUNNER_TEMP"]) / "reboot-runner-action"
subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)], check=True)
inside = next(environment.glob("lib/python*/site-packages"))
(inside / "packages-of-the-tests.pth").write_text("\n".join(site.getsitepackages()) + "\n")
pins = project / "requirements" / "postgres.txt"
make_venv.stamp(environment, pins).write_text(make_venv.fingerprint(pins))
