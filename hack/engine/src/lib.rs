//! wasmtime's C API, and what the agent needs of wasmtime beside it. Each function of ours starts with krustlet_;
//! runtime/wasmtime/capi.h declares them.

use std::ffi::{c_char, c_void};
use std::num::NonZeroUsize;

pub use wasmtime_c_api::*;
use wasmtime_c_api::wasmtime::{
    Collector, Config, Enabled, Engine, Error, InstanceAllocationStrategy, ModuleVersionStrategy, PoolingAllocationConfig, ResourceLimiter,
    Result, Store, WasmBacktraceDetails,
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

/// What a pool of memories and tables that are used again has room for.
#[repr(C)]
pub struct Pool {
    instances: u32,
    memories: u32,
    tables: u32,
    module_memories: u32,
    module_tables: u32,
    /// Memories, and tables, that nothing uses and that keep their pages.
    warm: u32,
    /// Elements of a table.
    elements: usize,
    /// Bytes of each of the warm ones that keep their pages.
    resident: usize,
}

/// An instance's own data has no bound here: what it needs counts to the limit of its guest.
const INSTANCE_SIZE: usize = 1 << 30;

/// Makes an engine whose stores take memories and tables from a pool, and give them back to it. It returns null if the
/// system does not have the addresses for that. The configuration is freed.
///
/// # Safety
/// `config` is what wasm_config_new gave, and no other thread uses it; `pool` points to a Pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn krustlet_engine_pooled(config: *mut wasm_config_t, pool: *const Pool) -> *mut wasm_engine_t {
    let mut config = unsafe { Box::from_raw(config.cast::<Config>()) };
    let pool = unsafe { &*pool };
    let mut of = PoolingAllocationConfig::new();
    of.total_core_instances(pool.instances)
        .total_memories(pool.memories)
        .total_tables(pool.tables)
        .total_gc_heaps(pool.instances) // code that has one is loaded; it is not used with a pool
        .max_memories_per_module(pool.module_memories)
        .max_tables_per_module(pool.module_tables)
        .max_core_instance_size(INSTANCE_SIZE)
        .table_elements(pool.elements)
        .max_memory_size(1 << 32)
        .max_unused_warm_slots(pool.warm)
        .linear_memory_keep_resident(pool.resident)
        .table_keep_resident(pool.resident)
        .pagemap_scan(Enabled::Auto);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(of));
    match Engine::new(&config) {
        Ok(engine) => Box::into_raw(Box::new(engine)).cast::<wasm_engine_t>(),
        Err(_) => std::ptr::null_mut(),
    }
}

const _: () = {
    assert!(size_of::<wasm_config_t>() == size_of::<Config>());
    assert!(size_of::<wasm_engine_t>() == size_of::<Engine>());
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
