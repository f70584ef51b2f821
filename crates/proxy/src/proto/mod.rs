//! HTTP/1 on the wire: heads to spans, bodies to pieces, and back. Pure.
