//! Continuous batching of an LLM engine as a function of time.
