//! The life of a request, driven without sockets: what goes in, what must come out.

use super::*;
