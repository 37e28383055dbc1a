//! OpenAI-compatible reverse proxy: routing, holding at zero, draining, request records.
