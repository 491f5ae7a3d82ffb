"""Downloads of published files, through the download cache of `datasets`."""

from collections.abc import Mapping

import datasets
from aiohttp import ClientError

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["download_files"]


def download_files(
    urls: Mapping[str, str], folder: str, manager: datasets.DownloadManager | None = None, pinned: bool = False
) -> dict[str, str]:
    """Return where each file lies after its download.

    Args:
        urls (`Mapping`):
            Name → address.
        folder (`str`):
            What a `data_dir` would have to hold instead, for the error message.
        manager (`datasets.DownloadManager`, *optional*):
            The builder's, if one runs. Streaming hands over another class, of which only the settings are taken, since
            bytes that are to be verified have to be fetched.
        pinned (`bool`, defaults to False):
            The addresses name a commit: what was fetched once stays right, and needs no network again.

    Raises:
        AudioBertInputError: a file cannot be fetched; the message names both ways out.
    """
    config = manager.download_config if manager is not None else datasets.DownloadConfig()
    if not isinstance(manager, datasets.DownloadManager):
        manager = datasets.DownloadManager(download_config=config)
    manager.download_config = config.copy()
    manager.download_config.use_etag = not pinned
    try:
        return manager.download(dict(urls))
    except (OSError, ClientError) as error:
        raise AudioBertInputError(
            f"could not download {next(iter(urls.values()))} or a file beside it ({type(error).__name__}: {error}). "
            f"Either connect to the network and repeat, or pass data_dir= (--data-dir) with {folder}."
        ) from error
