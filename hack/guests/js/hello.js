// hello [NAME...]: greets each name, and the world if there is none. With the argument "fail" it fails.
import { getArguments } from "wasi:cli/environment@0.2.0";

export const run = {
  run() {
    const names = getArguments().slice(1);
    for (const name of names.length ? names : ["world"]) {
      if (name === "fail") throw new Error("told to fail");
      console.log(`hello, ${name}, from JavaScript`);
    }
  },
};
