"""The parts of the docs site that are made of the code: options of commands, errors, the Python API."""
