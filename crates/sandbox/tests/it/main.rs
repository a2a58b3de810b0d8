//! Tests that need a process of their own: kills, signals, the default binary.

mod bad_receiver;
mod certificates;
mod codes;
mod full_disk;
mod kills;
mod network;
mod operator;
mod product;
mod receiver;
