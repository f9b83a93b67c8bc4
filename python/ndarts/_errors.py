"""What can go wrong, as exceptions whose text is what the programs print: file, line, column, the line and a caret."""


class Error(Exception):
    """Of the library; its text says what is wrong and what to do."""


class InputError(Error, ValueError):
    """What was given is wrong: a text, a file, a shape, an argument."""


class MachineError(Error, RuntimeError):
    """No memory, no device, no compiler, a failing disk."""


class Interrupted(KeyboardInterrupt):
    """A run was asked to end, by Ctrl-C or by a callback: what it reached is saved, and resume=True goes on."""
