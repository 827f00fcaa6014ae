//! A message to the service as a method call.

use serde::Serialize;
use zbus::message::Flags;
use zbus::{DynamicType, OwnedObjectPath};

use super::Message;
use crate::error::{Error, Result};
use crate::names::{BUS_NAME, SUBSCRIBER_INTERFACE};
use crate::request::ConnectRequest;

impl Message {
    /// The method call that posts it to the subscriber at `path`.
    ///
    /// # Errors
    /// [`Error::NotPostable`] when it is a message to the subscriber.
    pub(crate) fn encode(&self, path: &str) -> Result<zbus::Message> {
        let call = |member: &'static str| Call { path, member, interactive: false };
        match self {
            Self::AnnounceInterfaces => call("AnnounceInterfaces").with(&()),
            Self::StopAnnouncingInterfaces => call("StopAnnouncingInterfaces").with(&()),
            Self::AnnounceProvisioningDomains { interface } => {
                call("AnnounceProvisioningDomains").with(interface)
            }
            Self::StopAnnouncingProvisioningDomains { interface } => {
                call("StopAnnouncingProvisioningDomains").with(interface)
            }
            Self::AnnounceConfigurationElements { pvd } => call("AnnounceConfigurationElements").with(pvd),
            Self::StopAnnouncingConfigurationElements { pvd } => {
                call("StopAnnouncingConfigurationElements").with(pvd)
            }
            Self::AnnounceAddresses { pvd } => call("AnnounceAddresses").with(pvd),
            Self::StopAnnouncingAddresses { pvd } => call("StopAnnouncingAddresses").with(pvd),
            Self::GetConfigurationData { pvd, element, identifier } => {
                call("GetConfigurationData").with(&(pvd, element.as_str(), identifier))
            }
            Self::TranslateName { translation_id, pvd, name, options } => {
                call("TranslateName").with(&(translation_id, pvd, name, options.to_wire()))
            }
            Self::StopTranslatingName { translation_id } => call("StopTranslatingName").with(translation_id),
            Self::ConnectToAddress { connection_id, pvd, request } => {
                encode_connect(path, *connection_id, pvd, request)
            }
            Self::ConnectToAddressFromAddress { connection_id, pvd, source, request } => {
                let request = ConnectRequest { source: Some(*source), ..request.clone() };
                encode_connect(path, *connection_id, pvd, &request)
            }
            Self::CancelConnection { connection_id } => call("CancelConnection").with(connection_id),
            _ => Err(Error::NotPostable(Box::new(self.clone()))),
        }
    }
}

/// With a source it is the draft's other message.
fn encode_connect(
    path: &str,
    connection_id: u32,
    pvd: &OwnedObjectPath,
    request: &ConnectRequest,
) -> Result<zbus::Message> {
    let (address, port) = (request.address.to_string(), request.port);
    let mut options = request.to_wire();
    let interactive = request.interactive;
    match options.source.take() {
        None => {
            let call = Call { path, member: "ConnectToAddress", interactive };
            call.with(&(connection_id, pvd, address, port, options))
        }
        Some(source) => {
            let call = Call { path, member: "ConnectToAddressFromAddress", interactive };
            call.with(&(connection_id, pvd, source, address, port, options))
        }
    }
}

/// A call of a subscriber's method.
struct Call<'a> {
    path: &'a str,
    member: &'static str,
    /// The user may be asked to authorise it.
    interactive: bool,
}

impl Call<'_> {
    fn with<B: Serialize + DynamicType>(self, body: &B) -> Result<zbus::Message> {
        let call = zbus::Message::method_call(self.path, self.member)
            .destination(BUS_NAME)
            .interface(SUBSCRIBER_INTERFACE);
        let call = if self.interactive { call.with_flags(Flags::ALLOW_INTERACTIVE_AUTH) } else { call };
        Ok(call.build(body)?)
    }
}
