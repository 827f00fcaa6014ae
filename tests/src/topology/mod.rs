//! Networks that many tests share.

mod cafe;
mod dhcp_provider;
mod one_link_two_routers;
mod same_server;
mod tun;
mod two_isps;

pub use cafe::{CAFE, Cafe, SIGN_IN};
pub use dhcp_provider::{DhcpProvider, seconds_since_boot};
pub use one_link_two_routers::{OneLinkTwoRouters, RouterOnLink, SERVER_BEHIND_BOTH};
pub use same_server::{EVERYWHERE, EVERYWHERE_V6, Provider, answers, switch, try_answers, two_providers};
pub use tun::Tun;
pub use two_isps::{Isp, SHARED_NAME, SHARED_V4, SHARED_V6, TwoIsps};
