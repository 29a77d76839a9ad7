// Runs a WASI 0.1 module in Node.js: run-wasi.mjs MODULE [HOST::GUEST]... -- [ARGUMENT]...
// It stands for the runtime programs that a machine may have.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const words = process.argv.slice(2);
const end = words.indexOf("--");
const [module, ...mounts] = words.slice(0, end);
const wasi = new WASI({
  version: "preview1",
  args: ["guest", ...words.slice(end + 1)],
  env: process.env,
  preopens: Object.fromEntries(mounts.map((each) => each.split("::").reverse())),
});
const compiled = new WebAssembly.Module(readFileSync(module));
process.exitCode = wasi.start(new WebAssembly.Instance(compiled, wasi.getImportObject()));
