//! From written code to executable memory.

use cranelift_codegen::ir::{AbiParam, Signature, UserFuncName, types};
use cranelift_codegen::settings::{self, Configurable as _};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Module as _, default_libcall_names};

use super::context::{self, Entry};
use super::write::Leaves;
use super::{JitError, write};
use crate::predicate::Predicate;

/// Executable memory with the code of conditions.
pub(super) struct Code(Option<JITModule>);

// SAFETY: the module is not changed any more; what is shared is executable memory, which all threads
// may run and nobody may write.
unsafe impl Sync for Code {}
// SAFETY: as above; freeing it is not bound to a thread.
unsafe impl Send for Code {}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

impl Code {
    pub(super) fn entry(&self, id: FuncId) -> Entry {
        let Some(module) = &self.0 else { return unsure };
        let address = module.get_finalized_function(id);
        // SAFETY: the function of this id was declared with the signature of `Entry` and is final.
        unsafe { std::mem::transmute::<*const u8, Entry>(address) }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.0.take() {
            // SAFETY: every `Native` that points into this memory holds it, so none is left.
            unsafe { module.free_memory() };
        }
    }
}

/// A condition that is always unsure.
unsafe extern "C" fn unsure(
    _: *mut context::Context<'_>,
    _: *const crate::interpret::Inputs<'_>,
) -> u8 {
    3
}

/// Code on its way.
pub(super) struct Making {
    module: JITModule,
    context: cranelift_codegen::Context,
    builder: FunctionBuilderContext,
    signature: Signature,
    count: u32,
}

impl Making {
    pub(super) fn new() -> Result<Self, JitError> {
        if !context::holds() {
            return Err(JitError::Layout);
        }
        let mut flags = settings::builder();
        let verify = if cfg!(debug_assertions) { "true" } else { "false" };
        for (name, value) in [
            // Optimising takes a third of the time and gains nothing measurable on code this small.
            ("opt_level", "none"),
            ("enable_verifier", verify),
            ("is_pic", "false"),
            ("use_colocated_libcalls", "false"),
            ("unwind_info", "false"),
        ] {
            flags.set(name, value).map_err(|error| JitError::Processor(error.to_string()))?;
        }
        let processor =
            cranelift_native::builder().map_err(|error| JitError::Processor(error.to_owned()))?;
        let isa = processor
            .finish(settings::Flags::new(flags))
            .map_err(|error| JitError::Processor(error.to_string()))?;
        let module = JITModule::new(JITBuilder::with_isa(isa, default_libcall_names()));
        let mut signature = module.make_signature();
        for _context_and_inputs in 0..2 {
            signature.params.push(AbiParam::new(types::I64));
        }
        signature.returns.push(AbiParam::new(types::I8));
        Ok(Self {
            context: module.make_context(),
            builder: FunctionBuilderContext::new(),
            signature,
            count: 0,
            module,
        })
    }

    /// Compiles a condition.
    pub(super) fn add(
        &mut self,
        predicate: &Predicate,
        leaves: Leaves,
    ) -> Result<FuncId, JitError> {
        let failed = |error: cranelift_module::ModuleError| JitError::Code(format!("{error:?}"));
        let id = self.module.declare_anonymous_function(&self.signature).map_err(failed)?;
        self.write(predicate, leaves);
        let defined = self.module.define_function(id, &mut self.context).map_err(failed);
        self.module.clear_context(&mut self.context);
        defined.map(|()| id)
    }

    /// The code of a condition as text.
    pub(super) fn text(mut self, predicate: &Predicate) -> Result<String, JitError> {
        self.write(predicate, Leaves::Verdict);
        Ok(self.context.func.display().to_string())
    }

    fn write(&mut self, predicate: &Predicate, leaves: Leaves) {
        self.context.func.signature = self.signature.clone();
        self.context.func.name = UserFuncName::user(0, self.count);
        self.count += 1;
        let config = self.module.target_config();
        let mut builder = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        write::condition(&mut builder, predicate, leaves);
        builder.seal_all_blocks();
        builder.finalize(config);
    }

    /// Makes the code executable, and unwritable.
    pub(super) fn finish(mut self) -> Result<Code, JitError> {
        match self.module.finalize_definitions() {
            Ok(()) => Ok(Code(Some(self.module))),
            Err(error) => {
                // SAFETY: nothing points into memory of which no entry was handed out.
                unsafe { self.module.free_memory() };
                Err(JitError::Memory(error.to_string()))
            }
        }
    }
}
