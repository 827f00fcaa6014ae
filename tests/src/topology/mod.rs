//! Networks that many tests share.

mod two_isps;

pub use two_isps::{Isp, SHARED_NAME, SHARED_V4, SHARED_V6, TwoIsps};
