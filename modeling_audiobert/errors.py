"""The error for everything that a user can put right."""

__all__ = ["AudioBertInputError"]


class AudioBertInputError(ValueError):
    """Something in the user's input is wrong; the message names the input and the way out.

    The command line prints exactly these on one line and exits with 2. Every other exception is a fault of ours and
    keeps its traceback.
    """
