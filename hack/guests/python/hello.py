"""hello [NAME...]: greets each name, and the world if there is none. With the argument "fail" it fails."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment


class Run(exports.Run):
    def run(self) -> None:
        for name in environment.get_arguments()[1:] or ["world"]:
            if name == "fail":
                raise Err(None)
            print(f"hello, {name}, from Python", flush=True)
