//! Tests of the authorization server, over real sockets, with a provider that stands in for one.

mod attacks;
mod flow;
mod renewal;
mod stub;
mod world;
