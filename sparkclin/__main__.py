"""`python -m sparkclin`: the command `sparkclin`."""

from sparkclin.cli import main

raise SystemExit(main())
