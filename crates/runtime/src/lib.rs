//! One turn of the loop: observe, decide, act, record.
