//! Tests of the authorization server, over real sockets, with a provider that stands in for one.

mod attacks;
mod flow;
mod refusals;
mod renewal;
mod stub;
mod world;
