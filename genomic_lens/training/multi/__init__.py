"""Several tasks, and several kinds of sequence, in one run."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "modalities": ["MultiModalTokenizer", "modality_of"],
        "multi_task": ["MultiTaskLearner"],
        "pipeline_settings": ["PipelineSettings", "keys_table", "pipeline_settings"],
        "results": ["TrainingResults"],
        "shared_trunk": ["MultiTaskModel", "share_trunk"],
        "task_sampling": ["JoinedDataset", "TaskSampler", "task_shares"],
        "task_scores": ["task_answers", "task_scores"],
    },
)
