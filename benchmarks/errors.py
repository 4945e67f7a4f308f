"""What can go wrong with a benchmark beside its own bugs."""

from sparkclin.errors import SparkclinError


class MissingError(SparkclinError):
    """A contender needs something that is not on this machine; the others can be measured without it."""


class RunError(SparkclinError):
    """A process that prepares or measures ended with an error, or gave no result for some of the rows."""
