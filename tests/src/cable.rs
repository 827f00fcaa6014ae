//! Cables: veth pairs between nodes.

use serde_json::Value;

use crate::node::Node;
use crate::process;
use crate::wait::eventually;

/// One end of a cable, before it is made or after.
#[derive(Clone, Debug)]
pub struct LinkEnd {
    node: Node,
    name: String,
    mac: Option<String>,
    index: Option<u32>,
    dad: bool,
}

impl LinkEnd {
    pub(crate) fn new(node: &Node, name: &str) -> Self {
        Self { node: node.clone(), name: name.to_owned(), mac: None, index: None, dad: false }
    }

    /// Chooses the MAC address, such as `02:00:00:00:01:01`.
    #[must_use]
    pub fn mac(mut self, mac: &str) -> Self {
        self.mac = Some(mac.to_owned());
        self
    }

    /// Chooses the interface index; it is unique in its node only, so collisions can be made.
    #[must_use]
    pub fn index(mut self, index: u32) -> Self {
        self.index = Some(index);
        self
    }

    /// Switches duplicate address detection on for this end: an address then takes a second or two
    /// from tentative to preferred.
    #[must_use]
    pub fn duplicate_address_detection(mut self) -> Self {
        self.dad = true;
        self
    }

    /// The node this end is in.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The link's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `ip -json address show` says of this link; `Err` holds its complaint.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn look(&self) -> Result<Value, String> {
        let output = self.node.try_run("ip", ["-json", "address", "show", "dev", &self.name]);
        if output.code != 0 {
            return Err(output.stderr);
        }
        let links: Value = serde_json::from_str(&output.stdout).map_err(|error| error.to_string())?;
        links
            .as_array()
            .into_iter()
            .flatten()
            .find(|link| link["ifname"] == self.name.as_str())
            .cloned()
            .ok_or(output.stdout)
    }

    /// The interface index the kernel gave to this end.
    pub fn ifindex(&self) -> u32 {
        let link = self.look().expect("the link is there");
        link["ifindex"].as_u64().and_then(|index| u32::try_from(index).ok()).expect("an index")
    }

    /// Its addresses without their prefix lengths, the tentative ones left out.
    pub fn addresses(&self) -> Vec<String> {
        self.look().map(|link| usable_addresses(&link)).unwrap_or_default()
    }

    /// Its link-local IPv6 address.
    pub fn link_local(&self) -> String {
        self.addresses()
            .into_iter()
            .find(|address| address.starts_with("fe80:"))
            .expect("a link-local address")
    }

    /// Adds an address, such as `192.0.2.1/24`, without duplicate address detection.
    pub fn add_address(&self, address: &str) {
        let nodad = if address.contains(':') && !self.dad { " nodad" } else { "" };
        self.node.ip(&format!("address add {address} dev {}{nodad}", self.name));
    }

    /// Waits until it has a usable address that begins with `prefix`, and hands back the address.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_for_address(&self, prefix: &str) -> String {
        let what = format!("an address {prefix}* on {} of {}", self.name, self.node.name());
        eventually(&what, async || {
            let addresses = self.addresses();
            let found = addresses.iter().find(|address| address.starts_with(prefix)).cloned();
            found.ok_or_else(|| addresses.join(" "))
        })
        .await
    }

    /// Frames sent before both ends are up are lost silently, and neither neighbour discovery nor
    /// router advertisements work before there is a link-local address.
    async fn wait_until_ready(&self) {
        let what = format!("{} of {} to be up with a link-local address", self.name, self.node.name());
        eventually(&what, async || {
            let link = self.look()?;
            let up = link["flags"].as_array().into_iter().flatten().any(|flag| flag == "LOWER_UP");
            let local = usable_addresses(&link).iter().any(|address| address.starts_with("fe80:"));
            if up && local { Ok(()) } else { Err(link.to_string()) }
        })
        .await;
    }

    /// The words after `ip link add` that describe this end.
    fn words(&self) -> Vec<String> {
        let mut words = vec!["name".to_owned(), self.name.clone()];
        let options = [
            ("address", self.mac.clone()),
            ("index", self.index.map(|index| index.to_string())),
            ("netns", Some(self.node.name().to_owned())),
        ];
        for (word, value) in options {
            if let Some(value) = value {
                words.extend([word.to_owned(), value]);
            }
        }
        words
    }

    fn bring_up(&self) {
        // A veth leaves TX checksums to hardware that is not there: raw-socket readers (DHCP
        // clients) drop such packets.
        self.node.run("ethtool", ["-K", &self.name, "tx", "off"]);
        if self.dad {
            let settings = format!("net/ipv6/conf/{}", self.name.replace('/', "."));
            self.node.set(&format!("{settings}/accept_dad"), "1");
            self.node.set(&format!("{settings}/dad_transmits"), "1");
        }
        self.node.ip(&format!("link set dev {} up", self.name));
    }
}

/// A veth pair.
#[derive(Clone, Debug)]
pub struct Cable {
    near: LinkEnd,
    far: LinkEnd,
}

impl Cable {
    /// Plugs a cable into two nodes and waits until both ends can be used.
    ///
    /// # Panics
    /// When it cannot be made, for example because a name is taken.
    pub async fn between(near: LinkEnd, far: LinkEnd) -> Self {
        let mut command = crate::tool::command("ip");
        command.args(["link", "add"]).args(near.words()).args(["type", "veth", "peer"]).args(far.words());
        let made = process::output_now(command);
        assert!(made.code == 0, "cannot make a cable {} - {}: {made:#?}", near.name, far.name);
        far.bring_up();
        near.bring_up();
        let cable = Self { near, far };
        cable.far.wait_until_ready().await;
        cable.near.wait_until_ready().await;
        cable
    }

    /// The end named first.
    pub fn near(&self) -> &LinkEnd {
        &self.near
    }

    /// The end named second.
    pub fn far(&self) -> &LinkEnd {
        &self.far
    }

    /// Pulls the cable out at the far end: the near end loses its carrier but stays administratively
    /// up. Returns when the kernel says so.
    pub async fn pull(&self) {
        self.far.node.ip(&format!("link set dev {} down", self.far.name));
        eventually("the near end to lose its carrier", async || {
            let link = self.near.look()?;
            let carrier = link["flags"].as_array().into_iter().flatten().any(|flag| flag == "LOWER_UP");
            if carrier { Err(link.to_string()) } else { Ok(()) }
        })
        .await;
    }

    /// Plugs the cable in again and waits until both ends can be used. Taking a link down costs it its
    /// IPv6 addresses: those of the far end are put back.
    pub async fn plug(&self, far_addresses: &[&str]) {
        self.far.node.ip(&format!("link set dev {} up", self.far.name));
        self.far.wait_until_ready().await;
        for address in far_addresses {
            self.far.add_address(address);
        }
        self.near.wait_until_ready().await;
    }

    /// Removes both ends, as when a USB adapter is pulled.
    pub fn remove(&self) {
        self.near.node.ip(&format!("link delete dev {}", self.near.name));
    }
}

fn usable_addresses(link: &Value) -> Vec<String> {
    let addresses = link["addr_info"].as_array().into_iter().flatten();
    addresses
        .filter(|info| info["tentative"] != true)
        .filter_map(|info| info["local"].as_str().map(str::to_owned))
        .collect()
}
