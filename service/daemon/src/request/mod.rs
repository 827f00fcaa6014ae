//! Requests under way. Each is a future that carries one plan out; dropping it cancels it and leaves no socket.

pub mod connect;
