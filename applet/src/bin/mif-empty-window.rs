//! An empty window of the applet's toolkit: what `cargo xtask bench applet` compares with. It has what every window has, a
//! title bar with title and buttons; `--bare` leaves out even that. It is installed nowhere.

use adw::prelude::*;
use gtk::glib;

fn main() -> glib::ExitCode {
    let application = adw::Application::builder().application_id("org.ietf.Mif1.EmptyWindow").build();
    let bare = std::env::args().any(|argument| argument == "--bare");
    application.connect_activate(move |application| {
        let window = adw::ApplicationWindow::builder().application(application);
        let window = window.title("Empty").default_width(980).default_height(680).build();
        if !bare {
            let content = gtk::Box::new(gtk::Orientation::Vertical, 0);
            content.append(&adw::HeaderBar::new());
            window.set_content(Some(&content));
        }
        window.present();
    });
    application.run_with_args::<&str>(&[])
}
