"""The masked-LM loss of answers, right over accumulated batches and over processes."""

from collections.abc import Sequence

import torch


__all__ = ["IGNORED", "AnswerLossMixin"]

IGNORED = -100


class AnswerLossMixin:
    """For a `Trainer`: the loss is the mean over all answers' word pieces that one update learns from.

    Answers have different numbers of word pieces, so a mean of the batches' means would not be that of the large
    batch that they make up: a step of several small batches, or of several processes, is divided by all its pieces.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # The Trainer counts the labels of a step for losses that take account of them, as this one does.
        self.model_accepts_loss_kwargs = True

    def row_lengths(self, dataset: Sequence) -> list[int]:
        """Return the lengths in tokens of encoded rows."""
        return [len(row.input_ids) for row in dataset]

    def reads_gaps_alone(self, model) -> bool:
        """Return whether logits of the gaps are enough.

        An evaluation wants the predictions of all positions; replicas side by side would return different widths.
        """
        return model.training and not isinstance(model, torch.nn.DataParallel)

    def mean_loss(self, model, inputs) -> tuple[torch.Tensor, dict]:
        """Return the mean over one batch's labels, and the model's output."""
        output = model(**inputs)
        return output["loss"], output

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Return the batch's share of the step's loss; its mean, where the step's number of labels is not known."""
        loss, output = self.mean_loss(model, inputs)
        if num_items_in_batch is not None:
            own = (inputs["labels"] != IGNORED).sum()
            all_items = torch.as_tensor(num_items_in_batch, device=loss.device).clamp(min=1)
            # Gradients are averaged over the processes, while the labels were summed over them.
            summed = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            loss = loss * (own * summed / all_items)
        return (loss, output) if return_outputs else loss
