"""The errors of an export. Each names everything that is wrong at once, and what to do."""

from sparkclin.errors import SparkclinError


class CheckpointError(SparkclinError):
    """The checkpoint cannot be exported: not found, unsafe, of another family, or its tensors do not add up."""


class ParityError(SparkclinError):
    """The exported model does not give what the reference gives; it was not registered."""
