//! Which branches of the code under test the kept inputs reach. The compiler gives every edge of the control flow a
//! counter and notes where it is; the sanitizers would name the places, but the stable toolchain has none.

use mif_fuzz::Target;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs;

/// Code that derives write: comparing and showing values is not what is under test.
const DERIVED: [&str; 4] = ["core::fmt", "core::cmp", "core::clone", "serde"];

/// An entry of the compiler's table: an edge, and flags of it.
#[repr(C)]
struct Edge {
    place: usize,
    _flags: usize,
}

// Where the compiler's tables are, by the linker's names. The compiler declares these names in this very unit of code: a
// declaration of ours would take the place of its own, and leave libFuzzer without counters.
std::arch::global_asm!(
    ".pushsection .data.rel.ro.mif_fuzz_tables, \"aw\"",
    ".balign 8",
    ".globl mif_fuzz_tables",
    "mif_fuzz_tables:",
    ".quad __start___sancov_cntrs",
    ".quad __stop___sancov_cntrs",
    ".quad __start___sancov_pcs",
    ".popsection",
);

#[repr(C)]
struct Tables {
    counters: *const u8,
    behind_counters: *const u8,
    edges: *const Edge,
}

unsafe extern "C" {
    #[link_name = "mif_fuzz_tables"]
    static TABLES: Tables;
}

/// Gives the target all its inputs and says which share of the edges they take, and where the others are.
pub fn show(target: Target) {
    for input in fs::read_dir(target.corpus()).unwrap() {
        (target.run)(&fs::read(input.unwrap().path()).unwrap());
    }
    let (mut reached, mut all) = (0, 0);
    let mut missed: BTreeMap<(String, u32), usize> = BTreeMap::new();
    for (count, place) in edges() {
        let Some(place) = source(place, target.covers) else { continue };
        all += 1;
        if count == 0 { *missed.entry(place).or_default() += 1 } else { reached += 1 }
    }
    for ((file, line), edges) in missed {
        println!("not reached: {file}:{line} ({edges})");
    }
    let share = 100.0 * f64::from(reached) / f64::from(all.max(1));
    println!("{}: {reached} of {all} branches reached, {share:.1} %", target.name);
}

/// How often each edge was taken (modulo 256, never back to 0 by libFuzzer, which has not begun), and where it is.
fn edges() -> Vec<(u8, usize)> {
    // SAFETY: the assembler has laid it out so, and nobody writes to it.
    let Tables { counters, behind_counters, edges } = unsafe { std::ptr::read(&raw const TABLES) };
    // SAFETY: the linker puts both symbols around one section, the first at its begin.
    let count = unsafe { behind_counters.offset_from_unsigned(counters) };
    // SAFETY: the compiler writes one counter and one entry of the table for each edge, in the same order. Nothing else
    // runs that could change a counter.
    (0..count).map(|index| unsafe { (counters.add(index).read(), (*edges.add(index)).place) }).collect()
}

/// The place of an instruction in the source, when it is in the code that is to be covered, and was written by hand
/// there: what was inlined from elsewhere has its own tests.
fn source(instruction: usize, covers: &str) -> Option<(String, u32)> {
    let mut found = None;
    let mut innermost = true;
    backtrace::resolve(instruction as *mut c_void, |symbol| {
        let name = symbol.name().map(|name| name.to_string()).unwrap_or_default();
        if !std::mem::take(&mut innermost) || DERIVED.iter().any(|derived| name.contains(derived)) {
            return;
        }
        let file = symbol.filename().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(at) = file.find(covers) {
            found = symbol.lineno().map(|line| (file[at..].to_owned(), line));
        }
    });
    found
}
