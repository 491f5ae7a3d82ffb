"""What differs between the versions of the libraries that this builds on."""

from huggingface_hub.errors import InferenceTimeoutError


__all__ = ["TRANSPORT_ERRORS", "timed_out"]

# Whatever the HTTP library below huggingface_hub raises: requests before version 1, then httpx, now httpx2.
TRANSPORT_ERRORS = (InferenceTimeoutError, InferenceTimeoutError.__bases__[0], OSError)


def timed_out(error: BaseException) -> bool:
    """Return whether a request failed because no answer came in time.

    The time-outs of requests are no `TimeoutError`; huggingface_hub before 1.0, which transformers 4 needs, lets them
    pass. Goes with transformers 4.
    """
    return isinstance(error, TimeoutError) or type(error).__name__ == "ReadTimeout"
