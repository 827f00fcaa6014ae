//! Puts the user interface files into the program.

fn main() {
    glib_build_tools::compile_resources(
        &["src", "data"],
        "data/mif-applet.gresource.xml",
        "mif-applet.gresource",
    );
}
