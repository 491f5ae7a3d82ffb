"""Uploading a folder to the Hugging Face Hub, with errors that say what to do."""

import os
from typing import Any

from huggingface_hub import CommitInfo, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from .errors import AudioBertInputError


__all__ = ["file_on_hub", "upload_folder"]

# The client library's own base of "could not connect", which changed twice (requests, httpx, httpx2): its errors are
# the first base of the Hub's.
_TRANSPORT_ERROR = HfHubHTTPError.__bases__[0]


def upload_folder(
    folder: str | os.PathLike,
    repository: str,
    repo_type: str = "model",
    private: bool | None = None,
    token: str | bool | None = None,
    **commit: Any,
) -> CommitInfo:
    """Upload a folder as a repository, in one commit.

    The Hub is the one of the environment: `HF_ENDPOINT`, `HF_TOKEN`, or who is logged in.

    Args:
        folder (`str` or `PathLike`): its files and folders are added; others in the repository stay.
        repository (`str`): `USER/NAME`; created when it does not exist.
        repo_type (`str`, *optional*, defaults to `"model"`): or `"dataset"`, `"space"`.
        private (`bool`, *optional*): create it as a private one. An existing repository stays as it is.
        token (`str` or `bool`, *optional*): instead of who is logged in.
        **commit: of [`HfApi.upload_folder`]: `commit_message`, `revision`, `create_pr`, `delete_patterns` …

    Raises:
        AudioBertInputError: the name is no repository's, the Hub cannot be reached, or it refuses.
    """
    api = HfApi(token=token)
    try:
        repository = api.create_repo(repository, repo_type=repo_type, private=private, exist_ok=True).repo_id
        return api.upload_folder(repo_id=repository, repo_type=repo_type, folder_path=folder, **commit)
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
            f"could not reach the Hub at {api.endpoint} ({type(error).__name__}: {error}). Nothing is lost: connect "
            f"to the network and repeat, or keep the folder on disk: 'audiobert data export' writes a benchmark's, "
            f"'save_pretrained' a model's."
        ) from error


def file_on_hub(repository: str, name: str, revision: str | None = None, token: str | bool | None = None) -> bool:
    """Return whether a model repository has a file; False too where the Hub does not tell."""
    try:
        return bool(HfApi(token=token).get_paths_info(repository, [name], revision=revision))
    except (HfHubHTTPError, HFValidationError, _TRANSPORT_ERROR, OSError):
        return False
