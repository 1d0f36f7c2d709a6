"""`python -m runner` is `reboot-runner`."""

from runner.cli.main import main

main()
