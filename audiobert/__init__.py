"""AudioBERT: masked language models that know what things sound like (arXiv 2409.08199).

Importing it registers the model with the Auto classes of transformers and AuditoryBench with datasets, and does
nothing else.
"""

from transformers import AutoConfig, AutoModelForMaskedLM, AutoProcessor

from audiobert.dataset_scripts import register_auditorybench
from audiobert.metrics import metric_path
from audiobert.modeling_audiobert import (
    AudioBank,
    AudioBertConfig,
    AudioBertForMaskedLM,
    AudioBertInputError,
    AudioBertOutput,
    AudioBertProcessor,
    AudioBertRetriever,
    AudioFillMaskPipeline,
    RetrievedClips,
    TrunkDetector,
    TrunkDetectorConfig,
)


__all__ = [
    "AudioBank",
    "AudioBertConfig",
    "AudioBertForMaskedLM",
    "AudioBertInputError",
    "AudioBertOutput",
    "AudioBertProcessor",
    "AudioBertRetriever",
    "AudioFillMaskPipeline",
    "RetrievedClips",
    "TrunkDetector",
    "TrunkDetectorConfig",
    "metric_path",
]

__version__ = "0.1.0.dev0"

AutoConfig.register(AudioBertConfig.model_type, AudioBertConfig, exist_ok=True)
AutoModelForMaskedLM.register(AudioBertConfig, AudioBertForMaskedLM, exist_ok=True)
AutoProcessor.register(AudioBertConfig, AudioBertProcessor, exist_ok=True)
register_auditorybench()
