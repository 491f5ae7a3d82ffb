"""The Trainer of CLAP."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_features import AudioFeatureCache, is_longer
from .clap_evaluation import encode_cached_keys, measure_retrieval
from .clap_recipe import ClapRecipe
from .clip_sources import Clip
from .contrastive_loss import contrastive_loss, gather_rows
from .learning_rates import give_own_rate
from .resumable_trainer import ResumableTrainer
from .spectrogram_masking import augment


__all__ = ["ClapTrainer"]


class ClapTrainer(ResumableTrainer):
    """Trains a `ClapModel` with the paper's loss, and measures retrieval on held-out clips.

    The rows of all processes are each other's wrong answers, so that two processes take the very step of one with
    twice the batch. Batch normalisation, which would tell them apart, keeps the statistics that the model came with.

    Args:
        recipe (`ClapRecipe`): for the loss, the masking and the text tower's learning rate; its
            `same_label_negatives` is decided.
        validation (`tuple[Sequence[Clip], AudioFeatureCache]`, *optional*): the held-out clips, and their features.
        **trainer_kwargs: of `transformers.Trainer`; `processing_class` is the tokenizer.

    Raises:
        AudioBertInputError: several processes, and accelerate is told to give them batches of different sizes.
    """

    def __init__(
        self,
        *,
        recipe: ClapRecipe,
        validation: tuple[Sequence[Clip], AudioFeatureCache] | None = None,
        **trainer_kwargs,
    ):
        super().__init__(**trainer_kwargs)
        self.recipe = recipe
        self.validation = validation
        if self.accelerator.num_processes > 1 and not self.accelerator.even_batches:
            raise AudioBertInputError(
                "training.accelerator_config sets even_batches to false; CLAP's loss needs as many rows in each "
                "process. Leave it out."
            )

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        features = inputs["input_features"]
        longer = torch.tensor([[is_longer(clip)] for clip in features], device=features.device)
        if model.training:
            features = augment(features, self.recipe.masking)
            _fix_batch_statistics(self.model)
            if self.recipe.locked_text:
                self.model.text_model.eval()  # dropout would blur what the sounds are to meet
        # By the model as it was handed over, which data-parallel training has wrapped.
        output = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            input_features=features,
            is_longer=longer,
        )
        audio, text = (
            gather_rows(rows.float(), self.accelerator) for rows in (output.audio_embeds, output.text_embeds)
        )
        same = None if self.recipe.same_label_negatives else gather_rows(inputs["same"], self.accelerator)
        # A scale above 100 lets the loss of one batch overflow the next; CLIP's limit (arXiv 2103.00020).
        scales = (self.model.logit_scale_a.exp().clamp(max=100), self.model.logit_scale_t.exp().clamp(max=100))
        loss = contrastive_loss(audio, text, scales, same)
        return (loss, {"audio_embeddings": audio, "text_embeddings": text}) if return_outputs else loss

    def get_decay_parameter_names(self, model) -> list[str]:
        """Leave the temperatures, too, out of weight decay, which would pull them towards 1."""
        return [name for name in super().get_decay_parameter_names(model) if not name.startswith("logit_scale")]

    def create_optimizer(self, *args, **kwargs):
        """Give the text tower's language model its own learning rate, where the recipe names one."""
        if self.optimizer is None:
            super().create_optimizer(*args, **kwargs)
            if self.recipe.text_learning_rate:
                weights = _language_model_weights(self.model.text_model)
                give_own_rate(self.optimizer, weights, self.recipe.text_learning_rate)
        return self.optimizer

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """Return, and log, how well held-out clips and texts find each other; see `measure_retrieval`."""
        clips, features = self.validation
        model = self.model.eval()
        keys = encode_cached_keys(model, features, self.args.per_device_eval_batch_size)
        found = measure_retrieval(model, self.processing_class, clips, keys, self.recipe.query_template)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def _fix_batch_statistics(model: PreTrainedModel) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.eval()


def _language_model_weights(text_model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [weight for name, weight in text_model.named_parameters() if not name.startswith("pooler.")]
