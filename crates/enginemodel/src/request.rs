//! What a caller submits, the ticket it gets, and why it may be refused.

use std::fmt;

/// One request as the engine sees it. A request of no input or output tokens counts as one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The caller's own name for it, echoed in events; the engine does not look at it.
    pub id: u64,
    /// Prompt length, tokens.
    pub input_tokens: u32,
    /// Tokens to generate.
    pub output_tokens: u32,
    /// Leading prompt tokens found in the prefix cache. Whole blocks are skipped, and never the whole prompt, as the
    /// last token must be computed. Their blocks still count as held by this request (no sharing is modelled).
    pub prefix_hit_tokens: u32,
}

/// Names a submitted request for [`crate::Engine::cancel`]; worthless once the request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// Input plus output exceed the context length.
    ContextTooLong {
        /// Input plus output tokens asked for.
        tokens: u64,
        /// `max_model_len` of the engine.
        limit: u32,
    },
    /// Input plus output would not fit the KV cache even alone.
    KvTooSmall {
        /// Input plus output tokens asked for.
        tokens: u64,
        /// Most tokens that one request may occupy: capacity less the watermark.
        limit: u64,
    },
    /// `max_waiting` requests are waiting already.
    QueueFull {
        /// `max_waiting` of the engine.
        limit: u32,
    },
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContextTooLong { tokens, limit } => {
                write!(f, "{tokens} tokens of input and output exceed the context length of {limit}")
            }
            Self::KvTooSmall { tokens, limit } => {
                write!(
                    f,
                    "{tokens} tokens of input and output exceed the KV cache, which holds {limit} for one request"
                )
            }
            Self::QueueFull { limit } => write!(f, "{limit} requests are waiting already, which is the limit"),
        }
    }
}

impl std::error::Error for Rejected {}
