//! Engine dialects and concurrent scraping of their metrics pages.
