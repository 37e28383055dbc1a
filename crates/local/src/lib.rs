//! The local world: replicas are processes on this machine.
