//! HTTP/2 clients and instances, spoken to by the `h2` crate as an independent peer.
