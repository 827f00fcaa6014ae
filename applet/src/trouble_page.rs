//! What is wrong, and what to do about it.

use gettextrs::gettext;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use crate::client::Link;

mod imp {
    use super::glib;
    use gtk::CompositeTemplate;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/trouble_page.ui")]
    pub struct TroublePage {
        #[template_child]
        pub status: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub remedy: TemplateChild<gtk::Box>,
        #[template_child]
        pub command: TemplateChild<gtk::Label>,
        #[template_child]
        pub copy: TemplateChild<gtk::Button>,
        #[template_child]
        pub retry: TemplateChild<gtk::Button>,
        #[template_child]
        pub said: TemplateChild<gtk::Label>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TroublePage {
        const NAME: &'static str = "MifTroublePage";
        type Type = super::TroublePage;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for TroublePage {}
    impl WidgetImpl for TroublePage {}
    impl BoxImpl for TroublePage {}
}

glib::wrapper! {
    /// Shows why there is nothing to see.
    pub struct TroublePage(ObjectSubclass<imp::TroublePage>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

/// A trouble in words: icon, title, what to do, the command that does it, and what the other side said.
struct Trouble<'a> {
    icon: &'a str,
    title: String,
    advice: String,
    command: Option<&'a str>,
    said: &'a str,
}

impl TroublePage {
    /// Shows the trouble with a link that is not live.
    pub fn show(&self, link: &Link) {
        let imp = self.imp();
        let trouble = trouble(link);
        imp.status.set_icon_name(Some(trouble.icon));
        imp.status.set_title(&trouble.title);
        imp.status.set_description(Some(&trouble.advice));
        imp.remedy.set_visible(trouble.command.is_some());
        imp.command.set_text(trouble.command.unwrap_or_default());
        imp.copy.set_action_target_value(Some(&trouble.command.unwrap_or_default().to_variant()));
        imp.said.set_visible(!trouble.said.is_empty());
        imp.said.set_text(trouble.said);
        imp.retry.set_visible(*link != Link::Connecting);
    }
}

fn trouble(link: &Link) -> Trouble<'_> {
    match link {
        Link::Connecting | Link::Live => Trouble {
            icon: "content-loading-symbolic",
            title: gettext("Connecting"),
            advice: gettext("Asking the service for the networks of this machine"),
            command: None,
            said: "",
        },
        Link::NotRunning(said) => Trouble {
            icon: "network-offline-symbolic",
            title: gettext("The Service Is Not Running"),
            advice: gettext("Networks appear here as soon as mifd runs. To start it:"),
            command: Some("sudo systemctl start mifd"),
            said,
        },
        Link::Refused(said) => Trouble {
            icon: "dialog-password-symbolic",
            title: gettext("Not Allowed"),
            advice: gettext("The system bus does not let you talk to mifd. To see who may:"),
            command: Some("busctl status org.ietf.Mif1"),
            said,
        },
        Link::NoBus(said) => Trouble {
            icon: "network-error-symbolic",
            title: gettext("No System Bus"),
            advice: gettext("The message bus of this machine cannot be reached. To look at it:"),
            command: Some("systemctl status dbus.service"),
            said,
        },
        Link::Incompatible(said) => Trouble {
            icon: "dialog-error-symbolic",
            title: gettext("Another Version"),
            advice: gettext(
                "The service that runs is not of the same version as this program. To see which:",
            ),
            command: Some("busctl get-property org.ietf.Mif1 /org/ietf/Mif1 org.ietf.Mif1.Manager Version"),
            said,
        },
    }
}
