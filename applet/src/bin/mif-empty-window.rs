//! An empty window of the applet's toolkit: what `cargo xtask bench applet` compares with. It is installed nowhere.

use gtk::glib;
use gtk::prelude::*;

fn main() -> glib::ExitCode {
    let application = adw::Application::builder().application_id("org.ietf.Mif1.EmptyWindow").build();
    application.connect_activate(|application| {
        let window = adw::ApplicationWindow::builder().application(application);
        window.title("Empty").default_width(980).default_height(680).build().present();
    });
    application.run()
}
