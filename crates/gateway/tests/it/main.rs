//! The services on a simulated network: real sockets, a real store, real Signal sessions.

mod around;
mod bad_days;
mod density;
mod groups;
mod harness;
mod hooks;
mod housekeeping;
mod main_job;
mod manners;
mod media;
mod orphans;
mod people;
mod secrets;
mod sending;
mod watchdog;
