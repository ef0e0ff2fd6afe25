"""ament_python package: the code, and the files that ROS 2 tools expect below share/ego_perception."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "ego_perception"
NODES = ("reconstruction_node", "hand_removal_node", "egosim_node", "player_node", "recorder_node", "viewer_node")
DATA_FOLDERS = ("config", "launch", "models")
REQUIREMENTS = [
    "numpy>=2.0",
    "scipy>=1.13",
    "opencv-python-headless>=4.10",
    "torch>=2.6",
    "onnx>=1.17",
    "onnxruntime>=1.20",
    "safetensors>=0.4",
    "mujoco>=3.2",
    "roma>=1.5",
    "rosbags>=0.10",
    "trimesh>=4.4",
    "viser>=1.0",
    "evo>=1.31",
    "pyyaml>=6.0",
    "rich>=13.7",
    "typer>=0.12",
    "tensorboard>=2.18",
    "h5py>=3.11",
]


def data_files() -> list[tuple[str, list[str]]]:
    """Every file of the data folders, by the folder that it is installed to."""
    share = f"share/{PACKAGE}"
    entries = [
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (share, ["package.xml"]),
    ]
    by_folder: dict[str, list[str]] = {}
    for folder in DATA_FOLDERS:
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                by_folder.setdefault(f"{share}/{file.parent}", []).append(str(file))
    return entries + sorted(by_folder.items())


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={"": ["py.typed", "*.html", "*.css", "*.js"]},
    data_files=data_files(),
    python_requires=">=3.10",
    install_requires=REQUIREMENTS,
    zip_safe=False,
    author="ego_perception maintainers",
    maintainer="ego_perception maintainers",
    maintainer_email="maintainers@ego-perception.org",
    description="Live egocentric perception: point clouds, camera poses and more from one head-mounted camera.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"], "perceptual": ["lpips>=0.1.4", "torch-fidelity>=0.3"]},
    entry_points={
        "console_scripts": [
            "ego = ego_perception.cli.main:main",
            *(f"{node} = ego_perception.nodes.{node}:main" for node in NODES),
        ],
    },
)
