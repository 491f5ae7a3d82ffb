"""AudioBERT's model: exactly what travels to the Hub as remote code."""

from .audio_bank import AudioBank, RetrievedClips
from .configuration_audiobert import AudioBertConfig
from .configuration_trunk_detector import TrunkDetectorConfig
from .errors import AudioBertInputError
from .modeling_audiobert import AudioBertForMaskedLM, AudioBertOutput
from .pipeline_audiobert import AudioFillMaskPipeline
from .processing_audiobert import AudioBertProcessor
from .retrieval import AudioBertRetriever
from .trunk_detector import TrunkDetector


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
]
