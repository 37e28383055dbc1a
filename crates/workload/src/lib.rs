//! Request traces, synthetic arrivals and the open-loop load client.
