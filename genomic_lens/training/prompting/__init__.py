"""In-context learning: soft prompts for a frozen language model, and fine-tuning on instructions."""
