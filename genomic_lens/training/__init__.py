"""Training as a thin layer over `transformers`: batches that survive an interruption, groups, whole checkpoints."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "arguments": ["parameter_groups", "training_arguments"],
        "batches": ["SeededBatchSampler"],
        "checkpoints": ["last_checkpoint"],
        "curriculum_learner": ["CurriculumLearner"],
        "enhanced_training_pipeline": ["EnhancedTrainingPipeline"],
        "experiments": [
            "Experiment",
            "list_datasets",
            "list_experiments",
            "load_experiment",
            "plan_experiment",
            "register_dataset",
            "run_experiment",
        ],
        "fine_tuning": ["FineTuner", "model_for_task"],
        "monitoring.background": ["BackgroundTraining"],
        "monitoring.run_log": ["RunLog", "read_run"],
        "monitoring.snapshots": ["AttentionSnapshots", "FilterSnapshots", "read_snapshots"],
        "monitoring.step_profile": ["profile_step"],
        "multi.multi_task": ["MultiTaskLearner"],
        "objectives.scores": ["score"],
        "prompting.instructions": ["prompt_table", "tune_on_instructions"],
        "prompting.soft_prompts": ["PromptedClassifier", "tune_soft_prompt"],
        "streamlined_training_examples": [
            "run_advanced_training_example",
            "run_basic_dna_classification",
            "run_multi_task_example",
            "run_protein_function_prediction",
        ],
        "trainer": ["HyenaGLTTrainer"],
    },
)
