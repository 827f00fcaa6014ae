//! Takes everything of this service out of the kernel: for the removal of the package.

use super::error::RoutingError;
use super::kernel::Kernel;
use mif_core::configuration::AddressFamily;
use mif_core::routing::Layout;

/// Removes all rules and routes of this service, of whatever configuration, and says how many of each there were.
/// The list of marks stays: sockets with those marks may live, and no other provisioning domain is to get them.
///
/// # Errors
/// The kernel tells nothing, or keeps one.
pub async fn remove_all() -> Result<(usize, usize), RoutingError> {
    let kernel = Kernel::open(Layout::default())?;
    let (mut rules, mut routes) = (0, 0);
    let failed = |what| move |source| RoutingError::Kernel { what, source };
    for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
        for found in kernel.rules(family).await? {
            kernel.remove_found_rule(found).await.map_err(failed("remove a rule"))?;
            rules += 1;
        }
        for found in kernel.routes(family, None).await? {
            kernel.remove_found_route(found).await.map_err(failed("remove a route"))?;
            routes += 1;
        }
    }
    Ok((rules, routes))
}
