//! Tests that need a process of their own: kills, signals, the default binary.

mod certificates;
mod kills;
mod network;
mod product;
mod receiver;
