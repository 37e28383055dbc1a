//! The engines, by name and by their pages.

use std::fmt;

/// An inference engine, or what stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// vLLM, V0 and V1.
    Vllm,
    /// SGLang.
    Sglang,
    /// TensorRT-LLM's own server.
    TensorRtLlm,
    /// Hugging Face's Text Generation Inference.
    Tgi,
    /// llama.cpp's server.
    LlamaCpp,
    /// Triton with the TensorRT-LLM back end.
    Triton,
    /// NVIDIA Dynamo's frontend.
    Dynamo,
    /// xLLM.
    Xllm,
    /// Anything else: only its own names are understood, or any engine's.
    Generic,
}

/// Prefixes that tell an engine by its page. The order matters: a Dynamo worker prints its engine's families beside
/// its own.
const PREFIXES: [(&str, Engine); 8] = [
    ("vllm:", Engine::Vllm),
    ("sglang:", Engine::Sglang),
    ("trtllm_", Engine::TensorRtLlm),
    ("trtllm:", Engine::TensorRtLlm),
    ("tgi_", Engine::Tgi),
    ("llamacpp:", Engine::LlamaCpp),
    ("nv_trt_llm_", Engine::Triton),
    ("dynamo_frontend_", Engine::Dynamo),
];

impl Engine {
    /// The engine of a name, as the pod label `model.aibrix.ai/engine` or a manifest has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "vllm" => Self::Vllm,
            "sglang" => Self::Sglang,
            "trtllm" | "trtllm-serve" | "tensorrt-llm" | "tensorrtllm" => Self::TensorRtLlm,
            "tgi" | "text-generation-inference" => Self::Tgi,
            "llamacpp" | "llama.cpp" | "llama-cpp" => Self::LlamaCpp,
            "triton" | "triton-tensorrt-llm" => Self::Triton,
            "dynamo" => Self::Dynamo,
            "xllm" => Self::Xllm,
            "generic" => Self::Generic,
            _ => return None,
        })
    }

    /// The names that [`Engine::named`] knows, for messages.
    pub const NAMES: &'static str = "vllm, sglang, trtllm, tgi, llamacpp, triton, dynamo, xllm, generic";

    /// The engine that printed a page.
    #[must_use]
    pub fn detect(page: &[u8]) -> Self {
        let mut best = PREFIXES.len();
        for name in promtext::names(page) {
            if let Some(found) = PREFIXES[..best].iter().position(|(prefix, _)| name.starts_with(prefix)) {
                best = found;
                if best == 0 {
                    break;
                }
            }
        }
        PREFIXES.get(best).map_or(Self::Generic, |&(_, engine)| engine)
    }

    /// The usual path of its metrics page.
    #[must_use]
    pub fn path(self) -> &'static str {
        if self == Self::TensorRtLlm { "/prometheus/metrics" } else { "/metrics" }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vllm => "vLLM",
            Self::Sglang => "SGLang",
            Self::TensorRtLlm => "TensorRT-LLM",
            Self::Tgi => "TGI",
            Self::LlamaCpp => "llama.cpp",
            Self::Triton => "Triton",
            Self::Dynamo => "Dynamo",
            Self::Xllm => "xLLM",
            Self::Generic => "this engine",
        })
    }
}
