"""Uploads an exported benchmark to the Hugging Face Hub."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["push_folder"]

# The client library's own base of "could not connect", which changed twice (requests, httpx, httpx2): its errors are
# the first base of the Hub's.
_TRANSPORT_ERROR = HfHubHTTPError.__bases__[0]


def push_folder(folder: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload an exported folder as a dataset repository, in one commit that replaces its earlier data files.

    The Hub is the one of the environment: `HF_ENDPOINT`, `HF_TOKEN`, or who is logged in.

    Args:
        folder (`str` or `Path`):
            What `export_benchmark` wrote.
        repository (`str`):
            `USER/NAME`; created when it does not exist.
        private (`bool`, defaults to False):
            Create it as a private one. An existing repository stays as it is.

    Returns:
        `str`: the address of the commit.

    Raises:
        AudioBertInputError: the name is no repository's, the Hub cannot be reached, or it refuses.
    """
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            commit_message="Upload with audiobert data push",
            delete_patterns="data/**",
        )
    except HFValidationError as error:
        raise AudioBertInputError(f"'{repository}' is not the name of a repository: {error}") from error
    except HfHubHTTPError as error:
        reason = str(error).rstrip(". \n")
        raise AudioBertInputError(
            f"the Hub at {api.endpoint} refused the upload to '{repository}': {reason}. Log in with 'hf auth login' "
            f"(or set HF_TOKEN) as someone who may write there."
        ) from error
    except (_TRANSPORT_ERROR, OSError) as error:
        raise AudioBertInputError(
            f"could not reach the Hub at {api.endpoint} ({type(error).__name__}: {error}). Nothing is lost: "
            f"connect to the network and repeat, or write the folder with 'audiobert data export'."
        ) from error
    return str(commit.commit_url)
