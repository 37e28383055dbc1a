//! Which paths lead to a replica: inference in the shapes of OpenAI and of the engines. Everything else an engine serves
//! (metrics, profiling, sleeping, loading weights) is its operator's and not its clients'. Pure.

/// Everything below is OpenAI's API.
const OPENAI: &str = "/v1/";

/// Inference outside of it: vLLM, SGLang, TGI and llama.cpp.
const NATIVE: [&str; 22] = [
    "/apply-template",
    "/chat/completions",
    "/classify",
    "/completion",
    "/completions",
    "/detokenize",
    "/embed",
    "/embedding",
    "/embeddings",
    "/encode",
    "/generate",
    "/generate_stream",
    "/infill",
    "/invocations",
    "/pooling",
    "/predict",
    "/rerank",
    "/reranking",
    "/responses",
    "/score",
    "/tokenize",
    "/v2/rerank",
];

/// Whether a request for this path is for a replica.
pub(crate) fn is_inference(path: &str) -> bool {
    NATIVE.contains(&path) || (path.starts_with(OPENAI) && !climbs(path))
}

/// An engine may resolve dots, coded ones too, and so leave the part of its API that clients may use.
fn climbs(path: &str) -> bool {
    let plain =
        path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    plain.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openais_paths_and_the_engines_own_inference_lead_to_replicas() {
        for path in
            ["/v1/completions", "/v1/models", "/v1/audio/transcriptions", "/tokenize", "/generate", "/v2/rerank"]
        {
            assert!(is_inference(path), "{path}");
        }
        assert!(is_inference("/v1/models/org%2Fname..x"), "a name may hold what climbs nowhere");
    }

    #[test]
    fn an_engines_other_pages_do_not() {
        for path in ["/", "/metrics", "/version", "/sleep", "/tokenizer", "/standin/faults", "/v1", "/favicon.ico"] {
            assert!(!is_inference(path), "{path}");
        }
    }

    #[test]
    fn nothing_climbs_out_of_openais_paths() {
        for path in
            ["/v1/../metrics", "/v1/%2e%2E/metrics", "/v1/./x", "/v1/x/..", "/v1/..%2fmetrics", "/v1/..\\metrics"]
        {
            assert!(!is_inference(path), "{path}");
        }
    }
}
