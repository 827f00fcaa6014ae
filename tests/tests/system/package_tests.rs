//! What Debian's own machines would run of these packages: packaging/debian/tests, by autopkgtest.

use std::fs;
use std::path::Path;

use mif_tests::booted::Booted;
use mif_tests::universe;

#[test]
fn autopkgtest_passes() {
    universe::run_as_root(async |universe| {
        let system = Booted::start(&universe).await;
        let packages = system.packages();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging/debian");
        let to = system.path("/root/source/debian");
        fs::create_dir_all(to.join("tests")).unwrap();
        for folder in ["", "tests"] {
            for entry in fs::read_dir(from.join(folder)).unwrap() {
                let file = entry.unwrap().path();
                if file.is_file() {
                    fs::copy(&file, to.join(folder).join(file.file_name().unwrap())).unwrap();
                }
            }
        }
        // The machine is the universe's own, which autopkgtest cannot know. There is nothing to be downloaded.
        system.run("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*").await;
        let run =
            format!("autopkgtest --ignore-restrictions=isolation-machine {packages} /root/source -- null");
        let tested = system.try_run(&run).await;
        assert_eq!(tested.code, 0, "{tested:?}");
        let summary = format!("{}{}", tested.stdout, tested.stderr);
        assert!(summary.contains("service              PASS"), "{summary}");
    });
}
