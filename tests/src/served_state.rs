//! What tests wait for in the state that the service shows, and what programs outside see of it.

use mif::{ProvisioningDomain, State};
use serde_json::Value;

use crate::process::{self, Output};
use crate::served_host::ServedHost;
use crate::tool;
use crate::wait::eventually;

/// The root object of the service.
pub const ROOT: &str = "/org/ietf/Mif1";

impl ServedHost {
    /// Waits until `choose` finds something in the state.
    ///
    /// # Panics
    /// At the deadline, with the state.
    pub async fn until<T>(&self, what: &str, mut choose: impl FnMut(&State) -> Option<T>) -> T {
        eventually(what, async || {
            let state = self.state().await;
            choose(&state).ok_or_else(|| format!("{state:#?}"))
        })
        .await
    }

    /// Waits for the only PvD of this Id.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn pvd(&self, id: &str) -> ProvisioningDomain {
        self.pvd_where(id, |_| true).await
    }

    /// Waits until the PvD of this Id is there and as `accept` has it.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn pvd_where(
        &self,
        id: &str,
        mut accept: impl FnMut(&ProvisioningDomain) -> bool,
    ) -> ProvisioningDomain {
        let chosen = |state: &State| state.pvds().find(|pvd| pvd.id == id && accept(pvd)).cloned();
        self.until(&format!("the PvD {id}, as wanted"), chosen).await
    }

    /// Waits until there are these PvDs and no others.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn only_pvds(&self, ids: &[&str]) {
        let mut wanted = ids.to_vec();
        wanted.sort_unstable();
        self.until(&format!("the PvDs {wanted:?} and no others"), |state| {
            let mut found: Vec<&str> = state.pvds().map(|pvd| &*pvd.id).collect();
            found.sort_unstable();
            (found == wanted).then_some(())
        })
        .await;
    }

    /// GetAllConfigurationData, as busctl shows it: each identifier with its `type` and `data`.
    ///
    /// # Panics
    /// When the service refuses.
    pub async fn configuration(&self, pvd: &ProvisioningDomain, element: &str) -> Value {
        let interface = "org.ietf.Mif1.ProvisioningDomain";
        busctl_call(pvd.path.as_str(), interface, "GetAllConfigurationData", &["s", element]).await
    }

    /// Waits until somebody has told of what `element` gave: its addresses are there before that. What it is then.
    ///
    /// # Panics
    /// At the deadline, and when the service refuses.
    pub async fn told(&self, pvd: &ProvisioningDomain, element: &str) -> Value {
        eventually("somebody to tell of a lease", async || {
            let told = self.configuration(pvd, element).await;
            if told["told-by"].is_null() { Err(format!("{told:#}")) } else { Ok(told) }
        })
        .await
    }
}

/// The first value of the reply to a method call of the service, by busctl.
///
/// # Panics
/// When there is none.
pub async fn busctl_call(path: &str, interface: &str, method: &str, arguments: &[&str]) -> Value {
    let output = try_busctl_call(path, interface, method, arguments).await;
    assert!(output.code == 0, "busctl call {path} {method} {arguments:?}: {output:#?}");
    let reply: Value = serde_json::from_str(&output.stdout).expect("busctl writes JSON");
    reply["data"][0].clone()
}

/// The same, whatever comes of it.
pub async fn try_busctl_call(path: &str, interface: &str, method: &str, arguments: &[&str]) -> Output {
    let mut command = tool::command("busctl");
    command.args(["--json=short", "call", "org.ietf.Mif1", path, interface, method]).args(arguments);
    process::output(command).await
}

/// GetManagedObjects as busctl shows it: path, interface, property, `type` and `data`.
///
/// # Panics
/// When the service does not answer.
pub async fn managed_objects() -> Value {
    busctl_call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &[]).await
}
