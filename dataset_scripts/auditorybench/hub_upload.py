"""Uploads an exported benchmark to the Hugging Face Hub."""

from pathlib import Path

from audiobert.modeling_audiobert.hub_upload import upload_folder


__all__ = ["push_folder"]


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
    commit = upload_folder(
        folder,
        repository,
        "dataset",
        private,
        commit_message="Upload with audiobert data push",
        delete_patterns="data/**",
    )
    return str(commit.commit_url)
