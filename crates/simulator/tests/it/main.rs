//! The simulated network, driven by real clients: one binary, a file a feature.

mod baileys;
mod clock;
mod crowd;
mod faults;
mod harness;
mod linking;
mod messages;
mod model;
mod mutations;
mod offline;
mod page;
mod people;
mod persistence;
mod raw;
mod wire;
