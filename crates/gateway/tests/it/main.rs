//! The services on a simulated network: real sockets, a real store, real Signal sessions.

mod harness;
mod main_job;
