//! The simulated network, driven by real clients: one binary, a file a feature.

mod baileys;
mod crowd;
mod faults;
mod harness;
mod linking;
mod messages;
mod offline;
mod people;
mod persistence;
mod wire;
