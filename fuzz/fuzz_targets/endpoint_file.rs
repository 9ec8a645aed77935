//! Any text as an endpoint file: compiled or reported, with places inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::sql::NoProbe;
use mxcp_compiler::{Options, compile};

fuzz_target!(|text: &str| {
    let files = MemoryFiles::new([
        ("mxcp-site.yml", "mxcp: 1\nproject: p\nprofile: q\n"),
        ("tools/a.yml", text),
    ]);
    let compiled = compile(&files, &NoProbe, &Options::default());
    let errors = compiled.diagnostics.iter().any(mxcp_schemas::diagnostic::Diagnostic::is_error);
    assert_eq!(compiled.bundle.is_none(), errors);
    for diagnostic in &compiled.diagnostics {
        if let (Some(span), Some(text)) = (diagnostic.span, compiled.texts.get(&diagnostic.file)) {
            assert!(text.get(span.start as usize..span.end as usize).is_some(), "{diagnostic:?}");
        }
    }
});
