//! The decisions: strategies, windows, schedules, fleets, bounds and the trail. Pure: no clock, no I/O.
