"""The contrastive loss of CLAP (arXiv 2409.08199, equations 1 to 3), over the rows of one process or of several."""

import torch
from accelerate import Accelerator


__all__ = ["contrastive_loss", "gather_rows"]


def contrastive_loss(
    audio_embeddings: torch.Tensor,
    text_embeddings: torch.Tensor,
    scales: tuple[torch.Tensor | float, torch.Tensor | float],
    same: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the symmetric InfoNCE loss of a batch of clips and their texts.

    Args:
        audio_embeddings, text_embeddings (`torch.FloatTensor` of shape `(batch_size, projection_dim)`):
            Of norm 1, so that their products are cosines.
        scales (`tuple`): 1 / tau from clips to texts, and from texts to clips; the paper has one tau.
        same (`torch.LongTensor` of shape `(batch_size, num_columns)`, *optional*):
            Rows with equal numbers in any column do not count as wrong answers for each other.

    Returns:
        `torch.FloatTensor` of shape `()`.

    Source:
        arXiv 2409.08199, equations 1 to 3; `same` is ours. (The loss inside transformers' `ClapModel` takes the
        direction from texts to clips twice.)
    """
    cosines = audio_embeddings @ text_embeddings.T  # (num_clips, num_texts)
    excluded = torch.zeros_like(cosines, dtype=torch.bool)
    if same is not None:
        alike = (same[:, None, :] == same[None, :, :]).any(dim=-1)
        excluded = alike & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    right = torch.arange(len(cosines), device=cosines.device)
    to_texts, to_clips = scales
    from_audio = torch.nn.functional.cross_entropy((cosines * to_texts).masked_fill(excluded, -torch.inf), right)
    from_text = torch.nn.functional.cross_entropy((cosines.T * to_clips).masked_fill(excluded, -torch.inf), right)
    return (from_audio + from_text) / 2


def gather_rows(rows: torch.Tensor, accelerator: Accelerator) -> torch.Tensor:
    """Return the rows of all processes, in the order of the processes, for a loss that each computes in full.

    Every process has the same loss then, but a gradient for its own rows alone. Data-parallel training takes the mean
    of the processes' gradients where their sum is meant, so that the gradient of the own rows is multiplied by the
    number of processes; that of what all processes hold, such as the temperatures, is right as it is.

    Args:
        rows (`torch.Tensor` of shape `(num_rows, ...)`): as many in each process.

    Returns:
        `torch.Tensor` of shape `(num_processes * num_rows, ...)`; with one process, `rows` itself.
    """
    processes = accelerator.num_processes
    if processes == 1:
        return rows
    parts = list(accelerator.gather(rows.detach()).split(len(rows)))
    own = rows.clone()
    if own.requires_grad:
        own.register_hook(lambda gradient: gradient * processes)
    parts[accelerator.process_index] = own
    return torch.cat(parts)
