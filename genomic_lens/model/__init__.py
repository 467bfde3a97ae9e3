"""Hyena models, the operators they are made of, and the two ways of looking inside: `trace` and `explain`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "backbone": ["HyenaBackbone"],
        "blocks": ["HyenaBlock"],
        "checkpoints": ["read_weights"],
        "decoding": ["empty_memory", "extend", "generate"],
        "filters": ["ImplicitFilter"],
        "gates": ["explain"],
        "heads": ["RegressionHead", "SequenceClassificationHead", "pool"],
        "hyena": ["HyenaOperator"],
        "hyena_dna": [
            "HyenaDNAConfig",
            "HyenaDNAForCausalLM",
            "HyenaDNAForRegression",
            "HyenaDNAForSequenceClassification",
            "HyenaDNAForTokenClassification",
            "HyenaDNAModel",
            "freeze",
        ],
        "hyena_glt": ["HyenaGLTForRegression", "HyenaGLTForSequenceClassification", "HyenaGLTModel"],
        "long_convolution": ["long_convolution"],
        "operators": ["HyenaMixing", "MixingOperator"],
        "pretrained": ["fingerprint"],
        "token_models": ["HyenaGLTForCausalLM", "HyenaGLTForTokenClassification"],
        "tracing": ["Trace", "trace"],
        "verify": ["verify_checkpoint"],
        "zoo": ["list_models", "load", "model_config", "open_model"],
    },
)
