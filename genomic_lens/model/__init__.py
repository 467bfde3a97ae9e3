"""Hyena models, the operators they are made of, and the two ways of looking inside: `trace` and `explain`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "blocks": ["HyenaBlock"],
        "filters": ["ImplicitFilter"],
        "gates": ["explain"],
        "heads": ["RegressionHead", "SequenceClassificationHead", "pool"],
        "hyena": ["HyenaOperator"],
        "hyena_glt": ["HyenaGLTForRegression", "HyenaGLTForSequenceClassification", "HyenaGLTModel"],
        "long_convolution": ["long_convolution"],
        "operators": ["HyenaMixing", "MixingOperator"],
        "pretrained": ["fingerprint"],
        "tracing": ["Trace", "trace"],
    },
)
