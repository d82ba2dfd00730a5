//! Mail on its way to other hosts: where a domain's mail goes to, and how the connection there is kept safe.

pub mod names;
