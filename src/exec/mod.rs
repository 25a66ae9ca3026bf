//! Schedules, and the devices that run them.
