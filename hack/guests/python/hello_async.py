"""As hello.py, for WASI 0.3. Before each greeting it waits for 10 ms."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment, monotonic_clock


class Run(exports.Run):
    async def run(self) -> None:
        for name in environment.get_arguments()[1:] or ["world"]:
            if name == "fail":
                raise Err(None)
            await monotonic_clock.wait_for(10_000_000)
            print(f"hello, {name}, from Python", flush=True)
