"""Training as a thin layer over `transformers`: batches that survive an interruption, groups, whole checkpoints."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "arguments": ["parameter_groups", "training_arguments"],
        "batches": ["SeededBatchSampler"],
        "checkpoints": ["last_checkpoint"],
        "curriculum_learner": ["CurriculumLearner"],
        "fine_tuning": ["FineTuner", "model_for_task"],
        "trainer": ["HyenaGLTTrainer", "score"],
    },
)
