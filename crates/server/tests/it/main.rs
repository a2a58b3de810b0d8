//! One binary of tests over the whole of the server, a module a feature.

mod architecture;
