//! Packages for Debian, made by dpkg-deb.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Release, copy, fresh, lines, notices, read, write};
use crate::command;
use crate::error::Error;

/// What dpkg runs around installation and removal, when a package has it.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Makes each package, and has lintian look at them.
///
/// # Errors
/// When one cannot be made or lintian finds an error or a warning.
pub fn package(release: &Release) -> Result<(), Error> {
    let mut lintian = Command::new("lintian");
    lintian.args(["--no-cfg", "--allow-root", "--fail-on", "error,warning"]);
    command::run(lintian.args(archives(release)?))
}

/// Makes each package. Returns the files.
///
/// # Errors
/// When one cannot be made.
pub fn archives(release: &Release) -> Result<Vec<PathBuf>, Error> {
    release.packages.iter().map(|package| Package { release, name: package }.build()).collect()
}

struct Package<'a> {
    release: &'a Release,
    name: &'a str,
}

impl Package<'_> {
    fn build(&self) -> Result<PathBuf, Error> {
        let root = self.release.output.join("debian").join(self.name);
        fresh(&root)?;
        self.release.install(self.name, &root)?;
        self.add_documents(&root)?;
        self.describe(&root)?;
        self.make(&root)
    }

    /// What Debian's policy wants beside the files: changelog, copyright, compressed man pages. The licences of others
    /// are a part of the copyright, which is not to be compressed.
    fn add_documents(&self, root: &Path) -> Result<(), Error> {
        let documents = root.join("usr/share/doc").join(self.name);
        fs::create_dir_all(&documents).map_err(|source| Error::File { path: documents.clone(), source })?;
        copy(&self.in_packaging("changelog"), &documents.join("changelog.Debian"))?;
        copy(&self.in_packaging("copyright"), &documents.join("copyright"))?;
        copy(&notices::path(&self.release.tree, self.name), &documents.join(notices::NAME))?;
        compress(&documents.join("changelog.Debian"))?;
        for path in self.release.list(self.name)?.iter().filter(|path| path.starts_with("/usr/share/man/")) {
            compress(&root.join(path.trim_start_matches('/')))?;
        }
        let overrides = self.in_packaging(&format!("{}.lintian-overrides", self.name));
        if overrides.exists() {
            let folder = root.join("usr/share/lintian/overrides");
            fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
            copy(&overrides, &folder.join(self.name))?;
        }
        Ok(())
    }

    /// The folder DEBIAN: control, configuration files, checksums, scripts.
    fn describe(&self, root: &Path) -> Result<(), Error> {
        let folder = root.join("DEBIAN");
        fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
        write(&folder.join("control"), &self.control(root)?)?;
        write(&folder.join("md5sums"), &checksums(root)?)?;
        let configuration: Vec<String> =
            self.release.list(self.name)?.into_iter().filter(|path| path.starts_with("/etc/")).collect();
        if !configuration.is_empty() {
            write(&folder.join("conffiles"), &(configuration.join("\n") + "\n"))?;
        }
        for script in SCRIPTS {
            let from = self.in_packaging(&format!("{}.{script}", self.name));
            if from.exists() {
                copy(&from, &folder.join(script))?;
                mode(&folder.join(script), 0o755)?;
            }
        }
        Ok(())
    }

    /// The stanza of packaging/debian/control that is about this package, with what is known now.
    fn control(&self, root: &Path) -> Result<String, Error> {
        let control = read(&self.in_packaging("control"))?;
        let mut stanzas = control.split("\n\n");
        let source = stanzas.next().unwrap_or_default();
        let head = format!("Package: {}\n", self.name);
        let own = stanzas.find(|stanza| stanza.trim_start().starts_with(&head));
        let own = own.ok_or_else(|| Error::NoStanza { package: self.name.to_owned() })?.trim();
        let common = source.lines().filter(|line| {
            ["Section:", "Priority:", "Maintainer:", "Homepage:"].iter().any(|field| line.starts_with(field))
        });
        let common: String = common.map(|line| format!("{line}\n")).collect();
        let architecture = lines(Command::new("dpkg").arg("--print-architecture"))?.concat();
        let own = own.replace("Architecture: any", &format!("Architecture: {architecture}"));
        let own = own.replace("${shlibs:Depends}", &self.libraries(root)?);
        let (package, rest) = own.split_once('\n').unwrap_or((&own, ""));
        let version = &self.release.version;
        Ok(format!("{package}\nSource: mif\nVersion: {version}-1\n{common}{rest}\n"))
    }

    /// The packages of the libraries that the programs are linked with.
    fn libraries(&self, root: &Path) -> Result<String, Error> {
        let programs = self.release.list(self.name)?.into_iter();
        let programs =
            programs.filter(|path| path.contains("bin/")).map(|path| format!("{}{path}", root.display()));
        // It wants to stand in an unpacked source package.
        let folder = self.release.output.join("debian/libraries");
        fs::create_dir_all(folder.join("debian"))
            .map_err(|source| Error::File { path: folder.clone(), source })?;
        copy(&self.in_packaging("control"), &folder.join("debian/control"))?;
        let mut find = Command::new("dpkg-shlibdeps");
        let answer = lines(find.arg("-O").args(programs).current_dir(&folder))?.concat();
        Ok(answer.trim_start_matches("shlibs:Depends=").to_owned())
    }

    fn in_packaging(&self, name: &str) -> PathBuf {
        self.release.packaging("debian").join(name)
    }

    fn make(&self, root: &Path) -> Result<PathBuf, Error> {
        let mut make = Command::new("dpkg-deb");
        make.args(["--root-owner-group", "--build"]).arg(root).arg(&self.release.output);
        make.env("SOURCE_DATE_EPOCH", &self.release.epoch);
        let said = lines(&mut make)?.concat();
        // dpkg-deb: building package `name' in `path'.
        let path = said.rsplit('\'').nth(1).and_then(|rest| rest.rsplit(['`', '\'']).next());
        path.map(PathBuf::from).ok_or_else(|| Error::NoStanza { package: self.name.to_owned() })
    }
}

/// Without name and time, so that two builds are the same.
fn compress(path: &Path) -> Result<(), Error> {
    command::run(Command::new("gzip").args(["-9", "--no-name"]).arg(path))
}

fn mode(path: &Path, mode: u32) -> Result<(), Error> {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// `checksum  path` of every file but those of DEBIAN.
fn checksums(root: &Path) -> Result<String, Error> {
    let mut find = Command::new("sh");
    find.args(["-c", "find . -path ./DEBIAN -prune -o -type f -printf '%P\\0' | sort -z | xargs -0 md5sum"]);
    Ok(lines(find.current_dir(root))?.join("\n") + "\n")
}
