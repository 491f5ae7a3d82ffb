import json
import subprocess
import sys

import pytest


HEAVY = ["torch", "transformers", "datasets", "peft", "pyarrow", "librosa", "numpy"]


def run(code: str):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", ["audiobert", "audiobert.cli"])
def test_nothing_heavy_is_imported_before_it_is_needed(module):
    assert (
        run(f"import json, sys, {module}; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))") == []
    )


BY_AUTO_CLASSES = """
import json, sys
import audiobert
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, FillMaskPipeline
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, config_class_to_model_type

known = ["audiobert" in CONFIG_MAPPING, config_class_to_model_type("AudioBertConfig") == "audiobert"]
waited = "audiobert.modeling_audiobert" not in sys.modules
config = AutoConfig.for_model("audiobert")
from transformers import AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
found = [AutoModelForMaskedLM._model_mapping[type(config)], PROCESSOR_MAPPING[type(config)]]
print(json.dumps([known, waited, type(config) is audiobert.AudioBertConfig, [one.__name__ for one in found]]))
"""


def test_the_auto_classes_know_audiobert_and_import_it_when_it_is_asked_for():
    assert run(BY_AUTO_CLASSES) == [
        [True, True],
        True,
        True,
        ["AudioBertForMaskedLM", "AudioBertProcessor"],
    ]


BY_ONE_FILE = """
import json
from audiobert.modeling_audiobert.configuration_audiobert import AudioBertConfig
from transformers import AutoModelForMaskedLM
print(json.dumps(AutoModelForMaskedLM._model_mapping[AudioBertConfig].__name__))
"""


def test_importing_any_file_of_the_model_registers_the_whole():
    assert run(BY_ONE_FILE) == "AudioBertForMaskedLM"


def test_a_name_that_does_not_exist_is_an_attribute_error():
    import audiobert

    with pytest.raises(AttributeError, match="no attribute 'AudioBird'"):
        audiobert.AudioBird  # noqa: B018
    assert "AudioBank" in dir(audiobert)
