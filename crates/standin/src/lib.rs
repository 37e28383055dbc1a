//! A stand-in LLM engine: OpenAI API and vLLM metrics, paced by the engine model.
