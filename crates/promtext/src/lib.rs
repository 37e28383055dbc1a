//! Prometheus text and OpenMetrics exposition parser: borrowed, selective, total on any bytes.
