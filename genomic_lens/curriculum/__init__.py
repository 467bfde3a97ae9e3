"""What to learn first: how hard an example is, how fast to go on, which stages follow each other."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cropping": ["CroppedDataset"],
        "difficulty": ["difficulty"],
        "pacing": ["share_at"],
        "refreshing": ["RefreshedDifficulty"],
        "sampling": ["CurriculumSampler"],
        "stages": ["CurriculumPlan", "Stage", "length_warm_up"],
    },
)
