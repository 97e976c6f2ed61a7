//! wasmtime's C API, and what the agent needs of wasmtime beside it. Each function of ours starts with krustlet_;
//! runtime/wasmtime/capi.h declares them.

use std::ffi::{c_char, c_void};
use std::num::NonZeroUsize;

pub use wasmtime_c_api::*;
use wasmtime_c_api::wasmtime::{
    Collector, Config, Error, ModuleVersionStrategy, ResourceLimiter, Result, Store, WasmBacktraceDetails,
};

/// The frames of a backtrace that are kept. A deep recursion has tens of thousands, and each costs time and memory.
const BACKTRACE_FRAMES: usize = 64;

/// The version of wasmtime that is in this library, ended by a zero byte.
#[unsafe(no_mangle)]
pub extern "C" fn krustlet_engine_version() -> *const c_char {
    concat!(env!("ENGINE_VERSION"), "\0").as_ptr().cast()
}

/// Sets what the C API has no function for. `config` is what wasm_config_new gave, and not used yet.
///
/// # Safety
/// `config` points to a live configuration that no other thread uses.
#[unsafe(no_mangle)]
#[allow(deprecated)] // of the switch of legacy exceptions, which is not meant to be switched on
pub unsafe extern "C" fn krustlet_config_prepare(config: *mut wasm_config_t) {
    // A wasm_config_t is a struct of C with one field, the Config; the assertion below holds that.
    let config = unsafe { &mut *config.cast::<Config>() };
    config
        .wasm_extended_const(true)
        .wasm_legacy_exceptions(false)
        .wasm_shared_everything_threads(false)
        .wasm_component_model(false)
        .concurrency_support(false) // of components; without it, calls of the host cost less
        .collector(Collector::Copying)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES));
    // Code of another release is never loaded, whatever its folder is called.
    let version = ModuleVersionStrategy::Custom(env!("ENGINE_VERSION").to_string());
    config.module_version(version).expect("a version is short");
}

const _: () = {
    assert!(size_of::<wasm_config_t>() == size_of::<Config>());
    assert!(size_of::<wasmtime_store_t>() == size_of::<Store<WasmtimeStoreData>>());
};

/// What a store asks before a memory (a linear one, or a heap of the collector) grows: bytes that it has and wants.
type Growing = extern "C" fn(env: *mut c_void, current: usize, desired: usize) -> bool;

/// What a store says when a memory could not grow after all.
type Failed = extern "C" fn(env: *mut c_void);

struct Limiter {
    env: *mut c_void,
    growing: Growing,
    failed: Failed,
    elements: usize,
    instances: usize,
    tables: usize,
    memories: usize,
}

// The callbacks are called on the thread that uses the store, which is the only one that uses env.
unsafe impl Send for Limiter {}
unsafe impl Sync for Limiter {}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|max| desired > max) {
            return Ok(false);
        }
        Ok((self.growing)(self.env, current, desired))
    }

    fn memory_grow_failed(&mut self, _: Error) -> Result<()> {
        (self.failed)(self.env);
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= maximum.unwrap_or(self.elements).min(self.elements))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

/// Has a store ask `growing` before any of its memories grows, and bounds its instances, its memories, its tables and their
/// elements.
///
/// # Safety
/// `store` is a live store, and `env` what the callbacks expect for as long as the store lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn krustlet_store_limiter(
    store: *mut wasmtime_store_t,
    env: *mut c_void,
    growing: Growing,
    failed: Failed,
    elements: usize,
    instances: usize,
    tables: usize,
    memories: usize,
) {
    let store = unsafe { &mut *store.cast::<Store<WasmtimeStoreData>>() };
    let mut limiter = Limiter { env, growing, failed, elements, instances, tables, memories };
    store.limiter(move |_| {
        // The store calls this while it is borrowed, one at a time; the limiter lives as long as this closure.
        let limiter: *mut Limiter = &mut limiter;
        unsafe { &mut *limiter }
    });
}
